from approvals.models.commit import Commit, CommitToken
from approvals.models.integrity_settings import CandidateSource, IntegritySettings
from approvals.models.nonce import Nonce
from approvals.models.notice import ActionNotice
from approvals.models.pending_action import PendingAction
from approvals.models.prompt_baseline import PromptBaseline
from approvals.models.proposal import Proposal
from approvals.models.signing_key import SigningKey
from approvals.models.vote import Vote

__all__ = (
    "ActionNotice",
    "CandidateSource",
    "Commit",
    "CommitToken",
    "IntegritySettings",
    "Nonce",
    "PendingAction",
    "PromptBaseline",
    "Proposal",
    "SigningKey",
    "Vote",
)
