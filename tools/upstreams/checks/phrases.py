"""How instructions to a model are worded in tools that attack it. Matched against text as `as_read` gives it.

Sources: Invariant Labs, tool poisoning and mcp-injection-experiments; Trail of Bits, line jumping; CyberArk,
full-schema poisoning; HiddenLayer, parameter abuse; MCPTox and MCP-ITP, poisoned descriptions in ordinary English.

Gaps are bounded and few, so that no text makes a pattern slow.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phrase:
    """`told` completes "This …" for an operator."""

    told: str
    pattern: re.Pattern[str]
    is_blocking: bool = True


def _phrase(told: str, *patterns: str, is_blocking: bool = True) -> Phrase:
    return Phrase(told, re.compile("|".join(f"(?:{pattern})" for pattern in patterns)), is_blocking)


_TOOL = r"(?:tools?|functions?|commands?|operations?|actions?|requests?|tasks?|queries|steps?)"
_LOOK = r"(?:read|open|cat|access|load|fetch|dump|collect|extract|retrieve|copy|list|look (?:up|in|at)|obtain|gather)"
_GIVE = (
    r"(?:pass|include|put|send|append|provide|attach|insert|embed|forward|upload|supply|place|transmit|post|copy|"
    r"paste|leak|exfiltrate|share|report|submit|deliver|email)(?:s|ing|ed)?"
)
_PRIVATE = (
    r"(?:(?:file|their|its|the) contents?|contents? of|conversation|chat (?:history|log)|message history|"
    r"previous messages|prior messages|system prompt|system message|your (?:instructions|prompt|reasoning|"
    r"chain of thought|context|memory)|"
    r"api keys?|credentials?|secrets?|access tokens?|session tokens?|environment variables?|env vars?|private keys?|"
    r"ssh keys?|passwords?|wallets?|seed phrase|recovery phrase)"
)
_ALL_TALK = (
    r"(?:(?:full|entire|whole|complete|current|previous|prior|recent|all|user'?s?|your)(?: \w+)? "
    r"(?:conversation|chat|dialogue|message)s?(?: history| log| transcript| context| so far)?|system prompt|"
    r"(?:conversation|chat) (?:history|log|transcript))"
)

PHRASES = (
    _phrase(
        "sets aside what the model was told",
        r"\b(?:ignore|disregard|forget|discard|neglect)\b.{0,30}\b(?:previous|prior|earlier|above|preceding|all|any|"
        r"other|system|existing|safety|your|user'?s?)\b.{0,25}\b(?:instruction|prompt|rule|guideline|direction|polic|"
        r"command|constraint|restriction|message)",
        r"\b(?:override|overrule|bypass|supersede|circumvent)s?\b.{0,30}\b(?:instructions?|prompts?|guidelines|"
        r"safety|"
        r"safeguards?|guardrails?)\b",
        r"\b(?:new|updated|real|actual|hidden|secret) (?:system )?(?:instructions?|directives?) (?:is|are|for you|:)",
        r"\b(?:system|admin|developer|security) (?:override|directive|notice to (?:the )?(?:ai|model|assistant))\b",
        r"\byou are now\b",
        r"\bfrom now on,? (?:you|always|all|every|never|act|respond|use)\b",
        r"\bpretend (?:to be|you|that you)\b",
        r"\bjailbreak\b",
        # The same in some other languages.
        r"\bignor(?:ier|e|ez|a|ar|i|er)\w*\b.{0,30}\b(?:anweisung|instruktion|vorgabe|instrucciones|instruções|"
        r"istruzioni|consignes|instructions)|игнорир\w*\b.{0,30}(?:инструкц|указан)|(?:忽略|无视|無視).{0,12}(?:指令|指示|说明|"
        r"說明|提示)|(?:指示|命令).{0,6}無視",
    ),
    _phrase(
        "asks the model to hide something from people",
        r"\b(?:do not|don't|never|must not|should not|shouldn't|mustn't|avoid|without|refrain from|no need "
        r"to)\b.{0,20}"
        r"\b(?:tell|mention|inform|reveal|disclos|notify|alert|expos|show|say|let|warn|report|communicat|explain)"
        r"(?:e|ing|ying)?\b.{0,40}\b(?:users?|humans?|operators?|persons?|anyone|anybody|customers?|them)\b",
        r"\b(?:do not|don't|never|must not|avoid|without)\b.{0,12}\bmention(?:ing)?\b.{0,25}\b(?:this|that you|these|"
        r"it|instructions?|step|file|reading)\b",
        r"\b(?:secretly|covertly|discreetly|surreptitiously|stealthily)\b",
        r"\bsilently (?:send|forward|read|copy|include|pass|add|call|upload|append|bcc|log|record|collect|invoke|run|"
        r"execute)\b",
        r"\b(?:user|human|operator)s?\b.{0,15}\b(?:must not|should not|must never|should never|does not need to|"
        r"doesn't need to|need not|won't|will not)\b.{0,12}\b(?:see|know|be (?:told|aware|informed|notified|shown)|"
        r"notice|learn)\b",
        r"\b(?:keep|make|treat) (?:this|it|these|that)\b.{0,25}\b(?:secret|hidden|confidential|from the user|"
        r"invisible)\b",
        r"\bhid(?:e|den) (?:this |it |that )?from the (?:user|human|operator)",
    ),
    _phrase(
        "asks for something to be read before the tool is used",
        r"\b(?:before|prior to|whenever|when|each time|every time|after|in order to)\b.{0,20}\b(?:us(?:e|ing)|"
        r"call(?:ing)?|"
        r"invok(?:e|ing)|run(?:ning)?|execut(?:e|ing|ion)|perform(?:ing)?|any|every|each)\b.{0,25}\b"
        + _TOOL
        + r"\b.{0,60}\b"
        + _LOOK
        + r"\b.{0,40}(?:\bfiles?\b(?!path)|\bconfig|\bcredential|\bkeys?\b|\bsecret|\btokens?\b|\bhistory\b|"
        r"\bconversation\b|\benvironment variable|~/|/etc/|\.env\b|\.ssh\b)",
    ),
    _phrase(
        "asks for what is private to be passed along",
        r"\b" + _GIVE + r"\b.{0,40}\b" + _PRIVATE + r"\b.{0,40}\b(?:as|in|into|to|via|within|inside|through)\b.{0,25}"
        r"(?:\bsidenote|\bparameter|\bargument|\bfield|\bnotes?\b|\bcontext\b|\bmetadata\b|\bthis tool\b|\bquery\b|"
        r"https?://|\bbody\b|\bvalidation\b|@\w)",
        r"\b" + _GIVE + r"\b.{0,25}\b" + _ALL_TALK + r"\b",
        r"\b" + _ALL_TALK + r" (?:must|should|has to|needs to|is required to) be (?:passed|included|sent|provided|"
        r"attached|supplied|inserted|appended)\b",
        r"\b" + _LOOK + r"\b.{0,25}\b(?:api keys?|credentials|private keys?|ssh keys?|passwords|environment "
        r"variables|"
        r"seed phrase|secrets)\b.{0,40}\b" + _GIVE + r"\b",
        r"\b" + _GIVE + r"\b.{0,20}\b(?:contents? of|what) (?:the |any |your |all )?(?:environment variables|"
        r"private|secrets?|credentials?|/etc|~)",
        r"\b(?:reads?|loads?|opens?|collects?|uploads?|includes?)\b.{0,30}\b(?:private|ssh|secret|signing) keys?\b",
        r"\bcontents?[ _](?:from|of)[ _](?:reading|read|cat)\b",
        r"\b(?:data|contents?|conversation|credentials?|secrets?|keys?|history|files?|results?|everything|"
        r"output)\b.{0,25}"
        r"\bto https?://(?!(?:www\.)?example\.)\S{4}",
    ),
    _phrase(
        "changes where something is sent",
        r"\b(?:change|replace|set|modify|rewrite|alter|substitute|swap|redirect)\b.{0,40}\b(?:recipients?|"
        r"destination|"
        r"address(?:es)?|phone|number|payee|account|iban|emails?|messages?|payments?)\b.{0,30}\b(?:to|with|"
        r"by)\b.{0,25}"
        r"(?:\+?\d[\d -]{6,}|\w@\w|\b0x[0-9a-f]{6})",
        r"\b(?:must|always|instead|only|make sure)\b.{0,50}\b(?:send|sent|forward|forwarded|deliver|delivered|"
        r"routed?)\b"
        r".{0,40}(?:\w@\w|\+\d{7})",
        r"\b(?:always|must|silently|make sure|ensure)\b.{0,40}\bbcc\b|\bbcc\b.{0,30}\w@(?!example\b)\w",
    ),
    _phrase(
        "gives orders for the model's other work",
        r"\b(?:prepend|prefix|precede|preface|append|start|begin|end)\b.{0,25}\b(?:all|every|each|"
        r"any)\b.{0,25}\b(?:shell|"
        r"terminal|bash|commands?|messages?|repl(?:y|ies)|responses?|answers?|outputs?|prompts?|emails?)\b",
        r"\b(?:before|prior to|after|during|for|on|with|whenever)\b.{0,20}\b(?:any|every|each|"
        r"all)\b.{0,12}\b(?:other |user |"
        r"new |single )(?:tool|request|message|task|action|operation|prompt|query|conversation|session|call)s?\b",
        r"\bany (?:other )?tools? (?:from|of|on) (?:any|all|every|other)\b.{0,10}\bservers?\b",
        r"\b(?:at the (?:very )?(?:start|beginning) of|for|on|in) (?:every|each|any) (?:new )?(?:conversation|"
        r"session|chat|"
        r"user message)\b",
        r"\b(?:takes?|has|have) (?:absolute |higher |highest )?(?:priority|precedence) over\b.{0,30}\b(?:any|"
        r"all|every|"
        r"other|user|system|tools?)\b",
        r"\b(?:never|do not|don't) (?:use|call|invoke|trust)\b.{0,20}\b(?:any|all) other\b.{0,20}\b(?:tools?|"
        r"servers?)\b",
        r"\bregardless of (?:what|which|how)\b.{0,15}\b(?:the )?(?:user|tool|task)\b",
        r"\b(?:even if|although) (?:the )?(?:user|operator)s? (?:say|ask|object|told|tell|request|refuse|did "
        r"not|didn't)",
    ),
    _phrase(
        "gives orders for when another tool is used",
        r"\b(?:when|whenever|if|once|each time|every time|before|after)\b(?! this\b).{0,40}\b(?:(?!this "
        r")[\w.-]+ (?:tool|"
        r"function)|[a-z]+_[a-z_]+|\(mcp_\w+\) \w+)\b (?:is|was|gets|are|has been) (?:also )?(?:called|invoked|"
        r"used|run|"
        r"executed|available|present|triggered)\b.{0,60}\b(?:must|instead|always|change|make sure|replace|also|never|"
        r"send|ensure|need to)\b",
        r"\b(?:affects?|changes?|modif(?:y|ies)|side effects? on) the (?:behaviou?r|rules?) of (?:other|the "
        r"other|all|any)"
        r".{0,15}\b(?:tools?|servers?)\b",
        r"\bside effects?\b.{0,40}\bother (?:tools?|servers?)\b",
    ),
    _phrase(
        "claims that people have agreed already, or asks for that to be skipped",
        r"\b(?:the )?(?:user|operator|administrator|admin|developer|human)s? (?:has|have) (?:already |"
        r"previously |fully )*"
        r"(?:approved|authori[sz]ed|consented|granted|agreed|given (?:consent|permission))\b",
        r"\b(?:do not|don't|never|skip|bypass|without) (?:the |any |asking (?:for )?|waiting for |requesting |"
        r"ask for |"
        r"wait for |request |seek |seeking |user'?s? )+(?:confirmation|approval|consent|permission)",
    ),
    _phrase(
        "holds commands for a shell",
        r"\b(?:curl|wget)\b.{1,80}\|\s?(?:sudo )?(?:ba|z|da)?sh\b",
        r"\brm -rf? ",
        r"\bchmod (?:-r )?[0-7]{3,4}\b",
        r"\bbase64 (?:-d|--decode)\b",
        r"\bnc -e\b|/dev/tcp/",
    ),
    _phrase(
        "speaks in tags of a prompt",
        r"</?\s?(?:important|system|instructions?|hidden|secret|critical|assistant|override|urgent|function_calls?|"
        r"tool_calls?|system[-_ ](?:prompt|reminder|message|instruction)s?|im_start|inst|sys)\b[^>]{0,60}>",
        r"<\|\s?(?:im_start|im_end|system|user|assistant|endoftext|begin_of_text|start_header_id|eot_id)\b",
        r"\[/?(?:inst|system|sys|system_prompt|hidden)\]|<<sys>>",
        r"<!--",
    ),
    _phrase(
        "pushes itself before other tools",
        r"\b(?:you )?(?:must|always|shall|mandatory|required)\b.{0,30}\b(?:call|use|invoke|run|execute)(?:d|"
        r"ed)? (?:this|it)\b"
        r".{0,30}\b(?:first|before|prior|whenever|for any|for all|for every)\b",
        r"\b(?:always|must) (?:prefer|choose|pick|select|use) this tool\b",
        r"\b(?:best|only|default|preferred|primary) (?:tool|choice) for (?:all|any|every)\b",
        is_blocking=False,
    ),
)
# These need the lines that `as_read` joins: a role at the beginning of one.
ROLE_LINE = re.compile(r"(?im)^\W{0,6}(?:system|assistant|human)(?: prompt| message| instructions?)?\s*:\s*\S")
SENSITIVE_FILE = re.compile(
    r"(?:~|\$home|%userprofile%|/root|/home/[\w.-]+)[/\\]\.[a-z]\w+|(?<![\w.])\.ssh\b|\bid_(?:rsa|dsa|ecdsa|"
    r"ed25519)\b|"
    r"/etc/(?:passwd|shadow|sudoers)|\.aws/credentials|(?<![\w-])\.?mcp\.json\b|claude_desktop_config|\.cursor/|"
    r"(?<!\w)\.(?:netrc|npmrc|pypirc|git-credentials|bash_history|zsh_history|pgpass)\b|\.kube/config|"
    r"(?<![\w.*])\.env\b(?!\.example)|\bauthorized_keys\b|\.gnupg\b|\bwallet\.dat\b|\blogin\.keychain\b|"
    r"/proc/self/environ"
)
