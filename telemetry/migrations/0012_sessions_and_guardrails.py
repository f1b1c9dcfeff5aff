import uuid

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    """Runs of agents, their steps, and how strict guardrails are."""

    dependencies = [
        ("telemetry", "0011_spans_by_name"),
    ]

    operations = [
        migrations.CreateModel(
            name="GuardrailSettings",
            fields=[
                ("id", models.SmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)),
                (
                    "sessions_mode",
                    models.CharField(
                        choices=[
                            ("advisory", "Advisory: recorded only"),
                            ("mixed", "Mixed: personal data, secrets and injection deny; the rest is recorded"),
                            ("hard_gate", "Hard gate: every violation denies"),
                        ],
                        default="advisory",
                        help_text="The least strict mode of every session; a session may ask for a stricter one.",
                        max_length=9,
                        verbose_name="in sessions",
                    ),
                ),
                (
                    "calls_mode",
                    models.CharField(
                        choices=[
                            ("off", "Off: nothing is looked at"),
                            ("advisory", "Advisory: recorded only"),
                            ("mixed", "Mixed: personal data, secrets and injection deny; the rest is recorded"),
                            ("hard_gate", "Hard gate: every violation denies"),
                        ],
                        default="off",
                        help_text="For calls that name no session, whichever way they come in.",
                        max_length=9,
                        verbose_name="for calls outside sessions",
                    ),
                ),
                (
                    "pii",
                    models.FloatField(
                        default=0.5,
                        help_text="Personal data. A score above this is a violation: 0 means any finding, 1 means none ever.",
                        validators=[
                            django.core.validators.MinValueValidator(0.0),
                            django.core.validators.MaxValueValidator(1.0),
                        ],
                    ),
                ),
                (
                    "secrets",
                    models.FloatField(
                        default=0.5,
                        help_text="Keys, tokens, passwords.",
                        validators=[
                            django.core.validators.MinValueValidator(0.0),
                            django.core.validators.MaxValueValidator(1.0),
                        ],
                    ),
                ),
                (
                    "injection",
                    models.FloatField(
                        default=0.6,
                        help_text="Texts that give instructions to the model: injection and jailbreaks.",
                        validators=[
                            django.core.validators.MinValueValidator(0.0),
                            django.core.validators.MaxValueValidator(1.0),
                        ],
                    ),
                ),
                (
                    "toxicity",
                    models.FloatField(
                        default=0.8,
                        help_text="Insults and threats. Needs the optional package alt-profanity-check.",
                        validators=[
                            django.core.validators.MinValueValidator(0.0),
                            django.core.validators.MaxValueValidator(1.0),
                        ],
                    ),
                ),
                (
                    "custom",
                    models.FloatField(
                        default=0.5,
                        help_text="What detectors of your own look for.",
                        validators=[
                            django.core.validators.MinValueValidator(0.0),
                            django.core.validators.MaxValueValidator(1.0),
                        ],
                    ),
                ),
                (
                    "switched_off",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=40),
                        blank=True,
                        default=list,
                        help_text="Built-in detectors that are not asked.",
                        size=None,
                    ),
                ),
                ("changed_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
            options={
                "verbose_name": "guardrail settings",
                "verbose_name_plural": "guardrail settings",
                "default_permissions": ("change", "view"),
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", 1)), name="guardrails_have_one_row"),
                    models.CheckConstraint(
                        condition=models.Q(("sessions_mode__in", ["advisory", "mixed", "hard_gate"])),
                        name="guardrails_sessions_mode_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("calls_mode__in", ["off", "advisory", "mixed", "hard_gate"])),
                        name="guardrails_calls_mode_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("pii__gte", 0.0), ("pii__lte", 1.0)), name="guardrails_pii_is_a_score"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("secrets__gte", 0.0), ("secrets__lte", 1.0)),
                        name="guardrails_secrets_is_a_score",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("injection__gte", 0.0), ("injection__lte", 1.0)),
                        name="guardrails_injection_is_a_score",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("toxicity__gte", 0.0), ("toxicity__lte", 1.0)),
                        name="guardrails_toxicity_is_a_score",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("custom__gte", 0.0), ("custom__lte", 1.0)),
                        name="guardrails_custom_is_a_score",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RemoteDetector",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "name",
                    models.SlugField(
                        help_text="As signals name it, e.g. brand-words. Not the name of a built-in one.",
                        max_length=40,
                        unique=True,
                    ),
                ),
                (
                    "category",
                    models.CharField(
                        choices=[
                            ("pii", "Personal data"),
                            ("secrets", "Secrets"),
                            ("injection", "Injection"),
                            ("toxicity", "Toxicity"),
                            ("custom", "Your own"),
                        ],
                        default="custom",
                        max_length=9,
                    ),
                ),
                (
                    "url",
                    models.CharField(
                        help_text='Gets POST {"text", "stage", "category"}, answers {"score": 0 to 1}. Addresses inside your network are refused unless OBSERVATORY_EGRESS_ALLOW names them.',
                        max_length=500,
                        verbose_name="URL",
                    ),
                ),
                (
                    "secret_header",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text="Header that carries the credential, e.g. Authorization.",
                        max_length=60,
                    ),
                ),
                ("sealed_secret", models.BinaryField(null=True)),
                (
                    "timeout_s",
                    models.PositiveSmallIntegerField(
                        default=2,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(30),
                        ],
                        verbose_name="time-out (s)",
                    ),
                ),
                ("enabled", models.BooleanField(default=True, help_text="Off: it is not asked.")),
                ("changed_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
            options={
                "ordering": ["name"],
                "default_permissions": ("add", "change", "delete", "view"),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("category__in", ["pii", "secrets", "injection", "toxicity", "custom"])),
                        name="remote_detector_category_known",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Session",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "session_id",
                    models.CharField(help_text="The agent's name for it; unique among the agent's own.", max_length=64),
                ),
                ("agent_id", models.BigIntegerField()),
                ("agent", models.CharField(max_length=80)),
                ("agent_key", models.CharField(max_length=16)),
                ("model", models.CharField(max_length=120)),
                ("provider", models.CharField(blank=True, default="", max_length=40)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("closed", "Closed"),
                            ("expired", "Ended, idle too long"),
                            ("stopped", "Stopped by an operator"),
                            ("refused", "Refused at its preflight"),
                        ],
                        default="open",
                        max_length=8,
                    ),
                ),
                (
                    "upstream",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text="Where only tools of one upstream server may be called.",
                        max_length=40,
                    ),
                ),
                (
                    "reported",
                    models.BooleanField(
                        default=False, help_text="Its steps ran elsewhere, and are told here; nothing of it ran here."
                    ),
                ),
                ("policy", models.JSONField(default=dict, help_text="How it narrows the policy of its key.")),
                ("guardrails", models.JSONField(default=dict, help_text="Mode and thresholds that hold in it.")),
                ("rules_hash", models.CharField(help_text="SHA-256 over its whole configuration.", max_length=64)),
                (
                    "tools_discovered",
                    models.JSONField(default=list, help_text="Name, version and digest of each tool it could see."),
                ),
                ("preflight_result", models.JSONField(default=dict)),
                ("max_steps", models.PositiveIntegerField()),
                ("steps_begun", models.PositiveIntegerField(default=0)),
                ("steps_refused", models.PositiveIntegerField(default=0, help_text="Asked for beyond max_steps.")),
                ("total_steps", models.PositiveIntegerField(default=0, help_text="Those that have ended.")),
                ("total_latency_us", models.BigIntegerField(default=0)),
                ("total_tokens_in", models.BigIntegerField(default=0)),
                ("total_tokens_out", models.BigIntegerField(default=0)),
                ("total_cost_est", models.DecimalField(decimal_places=8, default=0, max_digits=16)),
                ("total_violations", models.PositiveIntegerField(default=0)),
                (
                    "tools_called",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=64),
                        default=list,
                        help_text="Those that ran, once each.",
                        size=None,
                    ),
                ),
                (
                    "labels",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=40),
                        default=list,
                        help_text="What has come in: untrusted_text, private_data.",
                        size=None,
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("last_used_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("ended_at", models.DateTimeField(null=True)),
                ("ended_by", models.CharField(blank=True, default="", max_length=150)),
            ],
            options={
                "ordering": ["-created_at"],
                "permissions": [("stop_session", "Can stop sessions"), ("report_session", "Can make session reports")],
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(fields=["-created_at", "id"], name="session_latest"),
                    models.Index(fields=["agent", "-created_at"], name="session_by_agent"),
                    models.Index(condition=models.Q(("status", "open")), fields=["last_used_at"], name="session_idle"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("agent_id", "session_id"), name="session_named_once_by_its_agent"),
                    models.CheckConstraint(
                        condition=models.Q(("session_id__regex", "^[A-Za-z0-9_.:-]{1,64}$")), name="session_name_plain"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("rules_hash__regex", "^[0-9a-f]{64}$")), name="session_hash_is_sha256"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["open", "closed", "expired", "stopped", "refused"])),
                        name="session_status_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("ended_at", None), ("status", "open")),
                            models.Q(models.Q(("status", "open"), _negated=True), ("ended_at__isnull", False)),
                            _connector="OR",
                        ),
                        name="session_ended_has_its_time",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("steps_begun__lte", models.F("max_steps"))), name="session_within_its_steps"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("total_steps__lte", models.F("steps_begun"))),
                        name="session_ends_what_it_began",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="KeptSignal",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("fingerprint", models.CharField(max_length=16)),
                (
                    "content",
                    models.CharField(
                        help_text="Keyed digest: short contents could be guessed from a plain one.", max_length=64
                    ),
                ),
                ("signal", models.JSONField()),
                (
                    "session",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="telemetry.session"
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("session", "content", "fingerprint"), name="signal_kept_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Step",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField()),
                (
                    "role",
                    models.CharField(
                        choices=[("user", "User"), ("assistant", "Assistant"), ("tool", "Tool")], max_length=9
                    ),
                ),
                (
                    "channel",
                    models.CharField(
                        choices=[
                            ("user_to_llm", "User to model"),
                            ("llm_to_tool", "Model to tool"),
                            ("tool_to_llm", "Tool to model"),
                        ],
                        max_length=11,
                    ),
                ),
                (
                    "input_text",
                    models.TextField(blank=True, default="", help_text="Masked, and cut to 200 characters."),
                ),
                ("selected_tool", models.CharField(blank=True, default="", max_length=64)),
                ("tool_args", models.JSONField(help_text="Masked.", null=True)),
                (
                    "output_text",
                    models.TextField(blank=True, default="", help_text="Masked, and cut to 200 characters."),
                ),
                ("error", models.TextField(blank=True, default="", help_text="Why there is no output, masked.")),
                ("decision", models.CharField(blank=True, default="", max_length=24)),
                ("reason", models.CharField(blank=True, default="", max_length=40)),
                ("rule", models.CharField(blank=True, default="", max_length=120)),
                ("policy", models.CharField(blank=True, default="", max_length=80)),
                ("policy_revision", models.PositiveIntegerField(null=True)),
                ("dry_run", models.BooleanField(default=False)),
                ("latency_us", models.BigIntegerField(default=0)),
                ("tokens_in", models.BigIntegerField(default=0)),
                ("tokens_out", models.BigIntegerField(default=0)),
                (
                    "token_source",
                    models.CharField(blank=True, default="", help_text="reported or estimate.", max_length=10),
                ),
                (
                    "cost_est",
                    models.DecimalField(
                        decimal_places=8,
                        help_text="USD; empty where the model has no known price.",
                        max_digits=14,
                        null=True,
                    ),
                ),
                ("guardrail_signals", models.JSONField(default=list)),
                (
                    "reused_fingerprints",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=16), default=list, size=None
                    ),
                ),
                ("violations", models.PositiveIntegerField(default=0, help_text="Signals above their threshold.")),
                (
                    "masked_paths",
                    models.JSONField(default=list, help_text="What was masked, as JSON Pointers into the step."),
                ),
                ("trace_id", models.CharField(blank=True, default="", max_length=32)),
                ("pending_action_id", models.CharField(blank=True, default="", max_length=36)),
                ("began_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("ended_at", models.DateTimeField(null=True)),
                (
                    "session",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="steps", to="telemetry.session"
                    ),
                ),
            ],
            options={
                "ordering": ["session", "number"],
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(condition=models.Q(("ended_at", None)), fields=["began_at"], name="step_unfinished"),
                    models.Index(fields=["trace_id"], name="step_by_trace"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("session", "number"), name="step_numbered_once"),
                    models.CheckConstraint(condition=models.Q(("number__gte", 1)), name="step_counts_from_one"),
                    models.CheckConstraint(
                        condition=models.Q(("role__in", ["user", "assistant", "tool"])), name="step_role_known"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("channel__in", ["user_to_llm", "llm_to_tool", "tool_to_llm"])),
                        name="step_channel_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("ended_at", None), models.Q(("decision", ""), _negated=True), _connector="OR"
                        ),
                        name="step_that_ended_has_its_decision",
                    ),
                ],
            },
        ),
    ]
