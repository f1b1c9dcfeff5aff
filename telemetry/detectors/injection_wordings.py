"""How orders to a model are worded where it only asked for data. Scores: 0.9 says nothing else, 0.7 hardly anything.

Sources: OWASP LLM01; Perez and Ribeiro 2022; Greshake et al. 2023 (indirect injection); Invariant Labs (tool
poisoning); Shen et al. 2023 (jailbreaks in the wild). What is worded otherwise is not found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from telemetry.detectors.lookalikes import as_read
from telemetry.detectors.wordings import FILE, MAIL, NUMBER, URL, Wordings, wording

_IGNORE = "ignore disregard forget neglect discard overlook dismiss"
_PREVIOUS = "previous prior earlier above preceding former foregoing past initial original prevoius previus"
_ORDERS = (
    "instruction* prompt* rule* guideline* guidance direction* directive* command* order* constraint* restriction* "
    "polic* training programming instrutcion* instuction*"
)
_GIVE = (
    "pass include put send append provide attach insert embed forward upload supply place transmit post copy paste "
    "leak exfiltrate share submit deliver email mail"
)
_PRIVATE = (
    "conversation chat transcript secret secrets credential* password* key keys token tokens mailbox memory prompt dump"
)
_SLOT = "parameter* argument* field sidenote query url link notes note context metadata body header"
_PERSON = "user human operator person customer reviewer administrator anyone anybody"
_MODEL = "ai llm model assistant agent chatbot gpt chatgpt claude gemini copilot"
_LOOK = "read open cat load fetch access dump retrieve copy"
_NOT = "not don't never dont mustn't shouldn't"

_OVERRIDE = (
    wording("override", 0.85, "override overrule supersede* replace* revoke*", 2, _PREVIOUS, 2, _ORDERS),
    wording("override", 0.9, _IGNORE, 3, _PREVIOUS, 3, _ORDERS),
    wording("override", 0.8, _IGNORE, 2, "all any every your system developer* safety", 2, _ORDERS),
    wording("override", 0.8, _IGNORE, 3, _ORDERS, 3, "above before earlier previously given gave received prior"),
    wording("override", 0.8, _IGNORE, 1, "everything anything all what whatever", 4, "told instructed taught learned"),
    wording("override", 0.8, _IGNORE, 1, "everything all", 2, "above"),
    wording("override", 0.8, _IGNORE, 1, "everything all", 4, "before", 0, "this now that"),
    wording("override", 0.8, _IGNORE, 1, "above previous", 1, "and instead", 1, "instead print say output reply do"),
    wording(
        "override",
        0.9,
        _NOT + " stop cease",
        2,
        "follow following obey obeying heed",
        3,
        _PREVIOUS + " system developer* old",
        3,
        _ORDERS + " message",
    ),
    wording(
        "override",
        0.8,
        "your former previous prior above earlier all",
        2,
        _ORDERS,
        7,
        "void cancelled canceled outdated obsolete revoked superseded invalid suspended nullified",
    ),
    wording("override", 0.8, "your", 1, _PREVIOUS, 1, _ORDERS, 3, "longer"),
    wording("override", 0.8, "instruction* rule* directive*", 1, "above", 2, "outdated obsolete void cancelled wrong"),
    wording("override", 0.8, "no", 0, "attention", 4, "prompt instruction* guideline* rules"),
    wording("override", 0.7, "set put", 0, "aside", 3, "guidance instruction* rules guideline*"),
    wording("override", 0.7, "mind forget", 1, "what whatever", 1, "user", 1, "asked asks wants wanted said"),
    wording(
        "override",
        0.8,
        "override overrule bypass circumvent",
        2,
        "your the all any",
        2,
        "instruction* guideline* safety guardrail* prompt",
    ),
    wording("override", 0.7, "note notice attention hint warning", 0, "to", 2, _MODEL),
    wording(
        "override", 0.7, "follow obey use", 1, "these this my mine", 1, "instruction* orders instead", 0, "instead"
    ),
    # The most common one in other languages.
    wording(
        "override",
        0.85,
        "ignorier* ignoriere vergiss vergesst vergessen missachte*",
        3,
        "vorherig* bisherig* früher* obig* vorig* vorher* alle alles",
        4,
        "anweisung* instruktion* vorgabe* regel* befehl* gesagt",
    ),
    wording(
        "override",
        0.85,
        "ignore ignorez oublie oubliez",
        3,
        "instructions consigne* directive* règle* ordres",
        2,
        "précédent* dessus antérieur* reçu*",
    ),
    wording(
        "override",
        0.85,
        "ignora ignore ignorad olvida olvide olvidad",
        4,
        "instruccion* regla* órden* indicacion* dijeron dicho",
        2,
        "anterior* previ* antes arriba",
    ),
    wording(
        "override",
        0.85,
        "ignore ignora esqueça esquece desconsidere",
        3,
        "instruç* regra* orden* comando*",
        3,
        "anterior* prévi* acima recebeu antes",
    ),
    wording(
        "override",
        0.85,
        "ignora ignorate dimentica dimenticate",
        3,
        "istruzion* regol* ordini comandi",
        2,
        "precedent* prima sopra ricevut*",
    ),
    wording(
        "override",
        0.85,
        "ignora ignore ignorez ignorate",
        2,
        "precedent* anterior* précédent*",
        1,
        "istruzion* instruccion* instruç* instruction*",
    ),
    wording(
        "override",
        0.85,
        "negeer vergeet",
        3,
        "eerdere vorige voorgaande alle",
        2,
        "instructie* opdracht* regels aanwijzing*",
    ),
    wording(
        "override",
        0.85,
        "zignoruj* ignoruj* zapomnij",
        3,
        "poprzedni* wcześniejsz* wszystki*",
        2,
        "polece* instrukcj* zasad* wytyczn*",
    ),
    wording(
        "override",
        0.85,
        "ignorera ignorer glöm glem",
        3,
        "tidigare tidligere föregående alla alle",
        2,
        "instruktion* instruks* regler order ordre",
    ),
    wording(
        "override",
        0.85,
        "игнорируй* проигнорируй* забудь*",
        3,
        "предыдущ* прежн* все всё",
        4,
        "инструкц* указани* правил* команд* говорил* сказа*",
    ),
    wording("override", 0.85, "önceki", 3, "talimat* kural* komut*", 3, "yok unut* görmezden dikkate"),
    wording("override", 0.85, "تجاهل انس", 3, "التعليمات تعليمات الأوامر القواعد", 2, "السابقة أعلاه السابق"),
)
_ROLES = (
    wording("override", 0.65, "from", 0, "now", 0, "on", 1, "reply respond answer obey act"),
    wording(
        "role-spoofing", 0.7, "you you're", 1, "now", 3, _MODEL + " dan unrestricted root shell terminal hacker evil"
    ),
    wording("role-spoofing", 0.75, "system admin root developer", 0, "override"),
    wording("role-spoofing", 0.8, "admin* system developer* security", 0, "notice note message", 3, _MODEL),
    wording("role-spoofing", 0.75, "message note update word", 0, "from", 1, "your", 1, "developer* creator* maker*"),
    wording("role-spoofing", 0.75, "changing change new", 1, "your", 0, "role identity"),
    wording("role-spoofing", 0.75, "you", 1, "have", 1, "new", 0, "identity role persona"),
    wording(
        "role-spoofing", 0.7, "from", 0, "now", 0, "on", 2, "you", 3, "answer respond act reply obey only always are"
    ),
    wording(
        "prompt-extraction",
        0.8,
        "repeat print reveal show output display tell give write expose recite copy disclose state list",
        4,
        "your",
        3,
        "prompt instructions",
    ),
    wording(
        "prompt-extraction",
        0.7,
        "repeat print reveal output expose recite disclose leak",
        2,
        "hidden initial secret system",
        1,
        "prompt instructions text policy",
    ),
    wording(
        "prompt-extraction",
        0.75,
        "first initial earliest exact",
        0,
        "instructions message prompt",
        1,
        "you",
        2,
        "received given got",
    ),
    wording("prompt-extraction", 0.75, "what", 1, "were are is", 0, "your", 2, "instructions prompt"),
    wording("prompt-extraction", 0.75, "repeat output print", 2, "words text everything sentences", 2, "above before"),
)
_EXFILTRATION = (
    wording("exfiltration", 0.7, "copy put append encode", 6, "query url link", 4, URL),
    wording(
        "exfiltration",
        0.75,
        _LOOK,
        3,
        "private ssh secret api",
        1,
        "key keys password* credential*",
        4,
        "include send pass put",
    ),
    wording("exfiltration", 0.8, _GIVE, 7, _PRIVATE, 8, f"{URL} {MAIL}"),
    wording("exfiltration", 0.7, _GIVE, 2, "full entire whole complete", 1, "conversation chat dialogue history"),
    wording("exfiltration", 0.75, _GIVE, 6, _PRIVATE, 6, _SLOT),
    wording("exfiltration", 0.8, _GIVE, 6, "environment env", 0, "variable* vars", 6, _SLOT),
    wording("exfiltration", 0.75, _GIVE + " curl", 6, FILE),
    wording(
        "exfiltration", 0.7, _GIVE, 6, "summary conversation chat message* user's", 6, f"url link query image {URL}"
    ),
    wording("exfiltration", 0.75, "forward send email", 2, "all every", 0, "messages emails mails files", 6, MAIL),
    wording("exfiltration", 0.75, _GIVE, 3, "database", 1, "dump", 6, URL),
    wording(
        "exfiltration", 0.7, "build make construct create", 1, "url link", 6, "user's email e conversation secret*"
    ),
)
_CONCEALMENT = (
    wording("concealment", 0.65, "without", 0, "telling informing notifying", 1, "finance anyone anybody them him her"),
    wording("concealment", 0.75, _NOT, 1, "tell inform mention reveal disclose notify alert", 2, _PERSON),
    wording("concealment", 0.75, _NOT, 1, "let", 2, _PERSON, 1, "know see notice"),
    wording("concealment", 0.75, "without", 1, "telling informing notifying alerting asking", 2, _PERSON),
    wording(
        "concealment",
        0.75,
        _PERSON,
        1,
        "must should may",
        0,
        "not never",
        1,
        "see know notice learn be",
        1,
        "of these this about aware told it",
    ),
    wording("concealment", 0.75, _PERSON, 1, "must should", 0, "not never", 0, "see know notice learn"),
    wording("concealment", 0.75, "hide conceal keep", 2, "this it that these", 2, "from", 1, _PERSON),
    wording(
        "concealment",
        0.7,
        "secretly covertly stealthily surreptitiously",
        2,
        "send copy forward read upload add call transfer include run execute append pass perform",
    ),
    wording(
        "concealment",
        0.7,
        "perform send do run execute make call add",
        3,
        "secretly covertly stealthily surreptitiously",
    ),
    wording("concealment", 0.7, "silently quietly", 1, "send copy forward upload exfiltrate bcc transmit"),
    wording("concealment", 0.7, "keep", 1, "this it that", 1, "between", 0, "us"),
    wording("concealment", 0.65, "never don't", 0, "mention", 1, "this that it these you"),
    wording(
        "concealment",
        0.75,
        _PERSON,
        1,
        "has have",
        1,
        "already",
        1,
        "agreed approved consented authorised authorized confirmed granted",
    ),
    wording("concealment", 0.7, "no", 0, "need", 0, "to", 0, "bother tell inform ask", 1, _PERSON),
    wording("concealment", 0.7, "no", 0, "reference", 1, "this", 3, "answer reply response"),
    wording("concealment", 0.7, "so", 1, "nobody one", 0, "notices notice"),
    wording("concealment", 0.7, "refrain", 1, "disclosing mentioning telling", 4, _PERSON),
    wording("concealment", 0.7, _NOT, 1, "log record", 1, "this", 0, "action step call", 5, "report tell mention"),
)
_POISONING = (
    wording(
        "tool-poisoning",
        0.8,
        "before prior when whenever first",
        3,
        "using use calling call invoking running any",
        3,
        "tool function command",
        6,
        _LOOK,
        6,
        f"{FILE} file files config env secrets",
    ),
    wording("tool-poisoning", 0.8, _LOOK, 4, FILE, 6, "pass include send put give append content* as return"),
    wording("tool-poisoning", 0.75, "content* contents", 3, FILE),
    wording("tool-poisoning", 0.75, "only", 0, "works", 1, "if", 2, "first", 2, _LOOK + " pass"),
    wording(
        "tool-poisoning",
        0.75,
        "always must",
        2,
        "call use invoke run",
        0,
        "this",
        0,
        "tool function",
        2,
        "first before",
    ),
    wording(
        "tool-poisoning", 0.75, "invoke call use", 0, "this", 0, "function tool", 0, "before", 1, "each any every other"
    ),
    wording("tool-poisoning", 0.7, "user", 1, "ask* request*", 6, "must always", 2, "call send forward invoke use"),
    wording(
        "tool-poisoning",
        0.75,
        "change replace set redirect swap",
        3,
        "recipient iban payee destination account address",
        3,
        "to with by",
        2,
        f"{MAIL} {NUMBER}",
    ),
    wording("tool-poisoning", 0.75, "bcc bcc'd bcced", 4, MAIL),
    wording("tool-poisoning", 0.7, _GIVE, 2, "chain", 0, "of", 0, "thought", 4, _SLOT),
    wording("tool-poisoning", 0.75, _NOT, 1, "use call invoke trust", 2, "other", 0, "tool tools server servers"),
    wording("tool-poisoning", 0.7, "other", 0, "tools", 3, "servers server", 2, "deprecated disabled untrusted broken"),
    wording("tool-poisoning", 0.7, "prefix prepend", 2, "each every all any", 1, "command* shell", 3, "with"),
)
_UNBOUND = "restriction* limit* filter* guideline* rules moral* censorship boundaries ethical ethics inhibition*"
_JAILBREAK = (
    wording("jailbreak", 0.75, "you you're", 2, "longer", 1, "bound restricted limited constrained", 3, _UNBOUND),
    wording("jailbreak", 0.9, "do", 0, "anything", 0, "now"),
    wording("jailbreak", 0.7, "you you're", 1, "dan stan"),
    wording("jailbreak", 0.75, "god sudo jailbreak dan unrestricted unfiltered", 0, "mode"),
    wording("jailbreak", 0.8, "developer debug", 0, "mode", 8, "unfiltered uncensored restriction* filter*"),
    wording(
        "jailbreak",
        0.75,
        "pretend imagine act roleplay behave simulate suppose play",
        8,
        "without no never free",
        2,
        _UNBOUND,
    ),
    wording(
        "jailbreak",
        0.7,
        "uncensored unfiltered unrestricted amoral unaligned",
        2,
        _MODEL + " version answer reply you bot",
    ),
    wording("jailbreak", 0.7, "you", 1, "have had", 0, "no", 1, _UNBOUND),
    wording("jailbreak", 0.7, "no", 1, _UNBOUND, 2, "never", 0, "refuse"),
    wording(
        "jailbreak",
        0.7,
        "ignore* disregard* bypass disable disabled switch turn",
        3,
        "content safety ethical moderation guardrail*",
        1,
        "polic* filter* guideline* layer rules guardrail*",
    ),
    wording("jailbreak", 0.7, "disable bypass remove", 1, "guardrail* safeguards"),
    wording("jailbreak", 0.8, "confines boundaries", 2, "ai"),
    wording(
        "jailbreak",
        0.75,
        "your",
        1,
        "safety content ethical",
        1,
        "rule* guideline* polic*",
        2,
        "not don't no doesn't",
        2,
        "apply longer",
    ),
    wording(
        "jailbreak",
        0.75,
        "your its",
        1,
        "restriction* filter* limits limitations safeguards guardrail*",
        3,
        "lifted removed disabled off suspended gone",
    ),
    wording("jailbreak", 0.9, "always", 0, "intelligent", 1, "machiavellian"),
    wording("jailbreak", 0.9, "strive", 0, "to", 0, "avoid", 0, "norms"),
    wording("jailbreak", 0.7, "refuse", 6, "lose", 3, "token* points"),
    wording("jailbreak", 0.7, "stay remain", 1, "in", 0, "character", 0, "no", 0, "matter"),
    wording("jailbreak", 0.7, "never", 1, "aligned", 4, "says say"),
    wording("jailbreak", 0.65, "grandmother grandma", 10, "keys napalm recipe", 10, "asleep sleep"),
)
WORDINGS = Wordings((*_OVERRIDE, *_ROLES, *_EXFILTRATION, *_CONCEALMENT, *_POISONING, *_JAILBREAK))


def _read(pattern: str, *words: str) -> str:
    return pattern.format(*("|".join(as_read(word) for word in each.split()) for each in words))


# In scripts that don't part words with spaces, or that do it with marks that a reading drops.
_RUNS = (
    _read(
        "(?:{}).{{0,12}}(?:{})", "忽略 无视 無視 忘记 忘記 不要理会 不理会", "指令 指示 说明 說明 提示 规则 規則 命令"
    ),
    _read("(?:{}).{{0,8}}(?:{})", "指示 命令 ルール プロンプト 規則", "無視 忘れ"),
    _read("(?:{}).{{0,10}}(?:{})", "지시 명령 규칙 프롬프트 지침", "무시 잊"),
    _read("(?:{}).{{0,16}}(?:{})", "निर्देश नियम", "अनदेखा भूल नज़रअंदाज़"),
)


@dataclass(frozen=True, slots=True)
class Mark:
    """What is no sentence. Without one of its hints in the reading it is not there."""

    kind: str
    score: float
    pattern: re.Pattern[str]
    hints: tuple[str, ...]

    def may_be_in(self, read: str) -> bool:
        return any(hint in read for hint in self.hints)


def _mark(kind: str, score: float, pattern: str, *hints: str) -> Mark:
    return Mark(kind, score, re.compile(pattern), hints)


_IN_OTHER_SCRIPTS = re.compile("|".join(_RUNS))
# Marks that only a model's own input holds, and links that carry data off.
MARKS = (
    _mark(
        "override",
        0.7,
        r"\b(?:new|updated|real|actual|true) (?:system )?(?:instructions?|directives?|task|orders?) ?:",
        *("instruction", "directive", " task", " order"),
    ),
    _mark(
        "override",
        0.75,
        r"\b(?:disregard|ignore|forget)\b[^.!?]{0,60}\btasks?\b\W{1,5}instead\b",
        "instead",
    ),
    _mark(
        "role-spoofing",
        0.75,
        r"-{2,8} ?end (?:of )?(?:the )?(?:user|system|untrusted)?'?s? ?(?:input|prompt|message|instructions?) ?-{2}",
        *("-end", "- end"),
    ),
    _mark(
        "chat-template",
        0.9,
        r"<\|[ ]?(?:im_start|im_end|system|user|assistant|endoftext|begin_of_text|end_of_text|start_header_id|"
        r"end_header_id|eot_id|eom_id|channel|message|start|end|return|fim_[a-z]{1,9}|tool_call[a-z_]{0,9})[ ]?\|?>",
        "<|",
    ),
    _mark("chat-template", 0.9, r"<</?sys>>|<(?:start|end)_of_turn>", "sys>>", "_of_turn>"),
    _mark("chat-template", 0.8, r"\[/?inst\]|</s> ?<s>", "inst]", "<s>"),
    _mark(
        "chat-template",
        0.75,
        r"<(?:antml:)?(?:function_calls>|invoke name=|tool_calls?>|tool_response>)",
        *("function_calls>", "invoke name=", "tool_"),
    ),
    _mark("chat-template", 0.7, r"### ?(?:instruction|response|system|human|assistant):", "###"),
    _mark(
        "role-spoofing",
        0.7,
        r"</?(?:system|important|developer)(?:[-_ ](?:prompt|message|reminder))?>",
        *("system", "<important", "<developer"),
    ),
    _mark(
        "role-spoofing",
        0.7,
        r"\[system(?: (?:note|message|prompt|override|update|alert)[^\]]{0,40}\]|\]\()"
        r"|(?:begin|end) system (?:message|prompt)",
        "[system",
        " system ",
    ),
    _mark("exfiltration", 0.85, r"\]\( ?https?://[^)\s]{1,300}?[?&][\w-]{1,20}=[{\[<$]", "]("),
    _mark("exfiltration", 0.7, r"!\[[^\]]{0,80}\]\( ?https?://[^)\s]{1,300}=(?: |$)", "!["),
    _mark("exfiltration", 0.8, r"""<img [^>]{0,80}src=["']?https?://[^"'> ]{1,300}=[{\[<$]""", "<img"),
    _mark(
        "exfiltration",
        0.75,
        r"https?://[^\s)<]{1,300}[?&][\w-]{1,20}=<(?:the|your|user'?s?|all|every)[ _-]",
        "=<",
    ),
)
# These need the lines and the capitals that a reading folds.
LINES = (
    _mark("exfiltration", 0.8, r"\]\(\s?https?://[^)\s]{1,300}?[?&][\w-]{1,20}=[A-Z0-9]{2,40}_?[A-Z_]{5,}", "]("),
    _mark(
        "role-spoofing",
        0.75,
        r"(?im)^\W{0,6}(?:system|developer|admin)(?: (?:message|prompt|override|note|instructions?))?[ ]?:[ ]{0,4}"
        r"(?:you(?:'re| are| must| will)|ignore|the (?:user|assistant|following)|from now|new |tool results)",
        *("system", "developer", "admin"),
    ),
    _mark("role-spoofing", 0.75, r"(?i)\b(?:human|user)[ ]?:[^\n]{1,200}\n?\s{0,4}\bassistant[ ]?:", "assistant"),
    _mark(
        "role-spoofing",
        0.7,
        r"(?im)^#{1,4} ?system[ ]{0,4}\n[^\n]{1,400}\n{1,3}#{1,4} ?(?:user|human)",
        "# system",
        "#system",
    ),
)


def marks_in(read: str) -> Iterator[tuple[str, float, int, int]]:
    """(kind, score, start, end) in the reading."""
    if not read.isascii():
        yield from (("override", 0.85, *match.span()) for match in _IN_OTHER_SCRIPTS.finditer(read))
    for mark in MARKS:
        if mark.may_be_in(read):
            yield from ((mark.kind, mark.score, *match.span()) for match in mark.pattern.finditer(read))


def lines_in(text: str, read: str) -> Iterator[tuple[str, float, int, int]]:
    """(kind, score, start, end) in the text."""
    for mark in LINES:
        if mark.may_be_in(read):
            yield from ((mark.kind, mark.score, *match.span()) for match in mark.pattern.finditer(text))
