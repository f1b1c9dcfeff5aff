"""What the demonstration starts with. Running it again changes nothing that is there."""

import os

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.utils import timezone

from observatory.demo.models import Customer, Incident, Service
from observatory.demo.seed_business import seed_business
from observatory.demo.seed_upstream import ALLOWED, seed_upstream
from observatory.groups import OPERATORS, POLICY_EDITORS, create_groups
from telemetry.alerts.defaults import create_default_rules
from telemetry.recorder import SYSTEM
from telemetry.tasks import create_partitions
from tools.actions.agents import issue_key, save_agent
from tools.actions.policies import publish, record_draft
from tools.actions.tools import sync_python_tools
from tools.models import Agent, AgentKey, Policy, PolicyExample, Rule
from tools.scopes import Scope

OPERATOR = "operator"
DEMO_POLICY, FOUR_EYES_POLICY = "demo-agents", "four-eyes"
SECOND_AGENT = "four-eyes-agent"
CUSTOMERS = ("ACME AB", "Nordic Widgets", "Beta Logistics")
SERVICES = {"Payments": ("ACME AB", "Nordic Widgets"), "Tracking": ("Beta Logistics",), "Portal": CUSTOMERS}
INCIDENTS = {"INC-1": ("Card payments fail", ("Payments",)), "INC-2": ("Late parcel events", ("Tracking", "Portal"))}


def seed() -> None:
    """Customers, incidents, people, tools, two policies, two agents and their keys are there."""
    create_partitions()
    create_groups()
    create_default_rules()
    seed_data()
    owner, second_owner = _people()
    sync_python_tools()
    seed_upstream()
    _agent(
        "demo-agent",
        "The agent of the first workflow; it may confirm for itself.",
        owner,
        _policy(DEMO_POLICY, self_confirm=True),
    )
    _agent(SECOND_AGENT, "An agent whose requests somebody else must approve.", second_owner, _policy(FOUR_EYES_POLICY))


def seed_data() -> None:
    """Customers, incidents and what the other tools work on are there."""
    for name in CUSTOMERS:
        Customer.objects.get_or_create(name=name)
    for name, customers in SERVICES.items():
        service, new = Service.objects.get_or_create(name=name)
        if new:
            service.customers.set(Customer.objects.filter(name__in=customers))
    for code, (title, services) in INCIDENTS.items():
        incident, new = Incident.objects.get_or_create(code=code, defaults={"title": title})
        if new:
            incident.services.set(Service.objects.filter(name__in=services))
    seed_business()


def _people() -> tuple[User, User]:
    """Three people: an administrator, the owner of dev-key, and the owner of the second agent."""
    users = get_user_model()
    password = os.environ.get("OPERATOR_PASSWORD", "")
    admin = users.objects.filter(username="admin").first()
    if admin is None:
        admin = users.objects.create_superuser("admin", "admin@example.com", password or None)
    people = []
    for name in (OPERATOR, "second-operator"):
        user, new = users.objects.get_or_create(
            username=name, defaults={"email": f"{name}@example.com", "is_staff": True}
        )
        if new:
            user.set_password(password or None)
            user.save()
            user.groups.set(Group.objects.filter(name__in=[OPERATORS, POLICY_EDITORS]))
        people.append(user)
    return people[0], people[1]


def _policy(name: str, *, self_confirm: bool = False) -> Policy:
    """The allowlist that the environment names, and an example that must hold."""
    found = Policy.objects.filter(name=name).first()
    if found is not None:
        return found
    with transaction.atomic():
        policy = Policy.objects.create(name=name, description="Seeded by the demonstration.", self_confirm=self_confirm)
        Rule.objects.create(
            policy=policy, name="The demonstration's allowlist", tools="\n".join(settings.DEMO_ALLOWED_TOOLS)
        )
        Rule.objects.create(policy=policy, name="The world clock, once accepted", tools=ALLOWED, position=2)
        for tool in settings.DEMO_ALLOWED_TOOLS[:1]:
            PolicyExample.objects.create(
                policy=policy, name=f"{tool} is allowed", tool=tool, arguments={}, expected="allow"
            )
        record_draft(policy, SYSTEM, created=True)
    publish(policy, SYSTEM, note="seeded by the demonstration")
    return policy


def _agent(name: str, description: str, owner: User, policy: Policy) -> None:
    agent = Agent.objects.filter(name=name).first()
    if agent is None:
        agent = save_agent(Agent(name=name, description=description, owner=owner), SYSTEM)
    if agent.keys.usable(timezone.now()).exists():
        return
    key = AgentKey(agent=agent, owner=owner, policy=policy, scopes=Scope.values, rate="6000/m")
    if name == SECOND_AGENT:
        key.scopes = [Scope.TOOLS_CALL, Scope.ACTIONS_CONFIRM]
        _remember(issue_key(key, SYSTEM).text)
    else:
        issue_key(key, SYSTEM, fixed=settings.DEMO_API_KEY)


def _remember(secret: str) -> None:
    """The second agent's key, for the scenario: in the demonstration's own folder, readable by its user only."""
    settings.DEMO_FOLDER.mkdir(parents=True, exist_ok=True)
    path = settings.DEMO_FOLDER / "second-key"
    path.touch(mode=0o600)
    path.write_text(secret)
