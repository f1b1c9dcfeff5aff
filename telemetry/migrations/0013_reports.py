import uuid

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    """Reports that people ask for, and a purpose of payloads for the pieces of their files."""

    dependencies = [
        ("telemetry", "0012_sessions_and_guardrails"),
    ]

    operations = [
        migrations.CreateModel(
            name="Report",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "format",
                    models.CharField(choices=[("xlsx", "Workbook (.xlsx)"), ("json", "JSON (.json)")], max_length=4),
                ),
                (
                    "filters",
                    models.JSONField(default=dict, help_text="session, agent, from, to: those that were given."),
                ),
                ("requester_id", models.BigIntegerField()),
                ("requester", models.CharField(max_length=150)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("queued", "Waits"),
                            ("running", "Is being made"),
                            ("done", "Made"),
                            ("failed", "Failed"),
                        ],
                        default="queued",
                        max_length=7,
                    ),
                ),
                ("total_sessions", models.PositiveIntegerField(default=0)),
                ("total_steps", models.PositiveIntegerField(default=0)),
                ("done_steps", models.PositiveIntegerField(default=0)),
                ("size_bytes", models.BigIntegerField(default=0)),
                (
                    "attempts",
                    models.PositiveSmallIntegerField(default=0, help_text="Also the fence of who makes it now."),
                ),
                (
                    "leased_until",
                    models.DateTimeField(help_text="Who makes it gives a sign of life before.", null=True),
                ),
                ("error", models.CharField(blank=True, default="", max_length=200)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("ended_at", models.DateTimeField(null=True)),
                ("expires_at", models.DateTimeField()),
            ],
            options={
                "ordering": ["-created_at"],
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="ReportPart",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField()),
            ],
            options={
                "ordering": ["report", "number"],
                "default_permissions": (),
            },
        ),
        migrations.RemoveConstraint(
            model_name="payload",
            name="payload_purpose_known",
        ),
        migrations.AlterField(
            model_name="payload",
            name="purpose",
            field=models.CharField(
                choices=[
                    ("arguments", "Arguments"),
                    ("result", "Result"),
                    ("overflow", "Rest of a result"),
                    ("evidence", "Prompt and candidate outputs"),
                    ("report", "Part of a report"),
                ],
                max_length=16,
            ),
        ),
        migrations.AddConstraint(
            model_name="payload",
            constraint=models.CheckConstraint(
                condition=models.Q(("purpose__in", ["arguments", "result", "overflow", "evidence", "report"])),
                name="payload_purpose_known",
            ),
        ),
        migrations.AddIndex(
            model_name="report",
            index=models.Index(fields=["requester_id", "-created_at"], name="report_by_requester"),
        ),
        migrations.AddIndex(
            model_name="report",
            index=models.Index(fields=["-created_at", "id"], name="report_latest"),
        ),
        migrations.AddIndex(
            model_name="report",
            index=models.Index(condition=models.Q(("ended_at", None)), fields=["created_at"], name="report_not_made"),
        ),
        migrations.AddIndex(
            model_name="report",
            index=models.Index(fields=["expires_at"], name="report_expiry"),
        ),
        migrations.AddConstraint(
            model_name="report",
            constraint=models.CheckConstraint(
                condition=models.Q(("format__in", ["json", "xlsx"])), name="report_format_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="report",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["queued", "running", "done", "failed"])), name="report_status_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="report",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("ended_at", None), ("status__in", ["queued", "running"])),
                    models.Q(("ended_at__isnull", False), ("status__in", ["done", "failed"])),
                    _connector="OR",
                ),
                name="report_ended_has_its_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="report",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("leased_until__isnull", False), ("status", "running")),
                    models.Q(models.Q(("status", "running"), _negated=True), ("leased_until", None)),
                    _connector="OR",
                ),
                name="report_leased_while_it_runs",
            ),
        ),
        migrations.AddConstraint(
            model_name="report",
            constraint=models.CheckConstraint(
                condition=models.Q(("done_steps__lte", models.F("total_steps"))), name="report_within_its_steps"
            ),
        ),
        migrations.AddConstraint(
            model_name="report",
            constraint=models.CheckConstraint(
                condition=models.Q(("expires_at__gt", models.F("created_at"))), name="report_expires_later"
            ),
        ),
        migrations.AddField(
            model_name="reportpart",
            name="payload",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="telemetry.payload"
            ),
        ),
        migrations.AddField(
            model_name="reportpart",
            name="report",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="parts", to="telemetry.report"
            ),
        ),
        migrations.AddConstraint(
            model_name="reportpart",
            constraint=models.UniqueConstraint(fields=("report", "number"), name="report_part_numbered_once"),
        ),
    ]
