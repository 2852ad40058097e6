//! The phrases themselves, in folded form: lower case, no accents.

use super::super::Confidence::{High, Medium};
use super::{
    DATA_EXFILTRATION, INSTRUCTION_OVERRIDE, PROMPT_DISCLOSURE, ROLE_MARKER, ROLE_REASSIGNMENT,
    Rule, phrase,
};

/// Gaps have bounded lengths, words in them too, so that a search that fails ends soon.
pub static RULES: [Rule; 25] = [
    // English: a word that takes in what was said, and a noun that means instructions.
    Rule::new(INSTRUCTION_OVERRIDE, High, IGNORE, || {
        phrase(concat!(
            r"\b(?:ignore|disregard|forget|neglect|discard|unlearn|do not follow|don't follow|stop following",
            r"|do not obey|don't obey|stop obeying|pay no attention to)(?: about)?",
            r"(?: (?:the|of|and|or|any|other|such|more|these|those|given|provided|user|existing",
            r"|current)){0,4}",
            r"(?: (?:all|any|every|each|previous|previously|prior|above|preceding|earlier|former",
            r"|foregoing|past|your|my",
            r"|system|initial|original|developer|safety))",
            r"(?: (?:all|any|every|each|the|of|and|or|other|previous|previously|prior|above",
            r"|preceding|earlier|former",
            r"|foregoing|past|your|my|our|these|those|such|system|initial|original|existing",
            r"|current|developer|safety",
            r"|security|given|provided|stated|hidden|internal|default|core|ethical|content|operating)){0,6}",
            r" (?:instructions?|prompts?|directives?|guidelines?|commands?|guidance|guardrails|programming)\b",
        ))
    }),
    Rule::new(
        INSTRUCTION_OVERRIDE,
        Medium,
        "overrid|bypass|circumvent",
        || {
            phrase(concat!(
                r"\b(?:override|bypass|circumvent)(?: (?:all|any|every|each|of|the|your|these|those",
                r"|previous|prior|above",
                r"|earlier|existing|current|system|safety|security|content|ethical|developer)){1,5}",
                r" (?:instructions?|directives?|guidelines|guardrails|restrictions|programming",
                r"|safety (?:rules|filters|measures))\b",
            ))
        },
    ),
    Rule::new(INSTRUCTION_OVERRIDE, High, IGNORE, || {
        phrase(concat!(
            r"\b(?:ignore|disregard|forget|do not follow|don't follow|stop following)",
            r"(?: (?:all|any|every|of|the|your|my|those|these)){0,4} (?:instructions?|prompts?|directives?|rules|guidelines)",
            r"(?: (?:that|which|you|we|i|they|have|has|had|were|was|been|are|is)){0,4}",
            r" (?:above|before this|preceding this|previously|given to you|given earlier|given before|told|received earlier)\b",
        ))
    }),
    // Nouns that are common in harmless advice too.
    Rule::new(INSTRUCTION_OVERRIDE, Medium, IGNORE, || {
        phrase(concat!(
            r"\b(?:ignore|disregard|forget|do not follow|don't follow|stop following)(?: (?:all",
            r"|any|of|the|your|my)){0,3}",
            r" (?:previous|prior|above|preceding|earlier|foregoing)(?: (?:and|or|given|system",
            r"|safety|content)){0,2}",
            r" (?:rules|context|policies|constraints|restrictions|orders|directions|training",
            r"|system messages?)\b",
        ))
    }),
    Rule::new(INSTRUCTION_OVERRIDE, Medium, IGNORE, || {
        phrase(concat!(
            r"\b(?:ignore|disregard|forget) (?:(?:these|those) (?:instructions|directives",
            r"|prompts)\b|(?:everything|anything|all)",
            r"(?: (?:that|which|of|the|you|i|we|have|has|had|you've|i've|was|were|been|said",
            r"|written|told|stated|came|in",
            r"|text|written|this|conversation)){0,7}",
            r" (?:above|before this|previously|prior|so far|up to now|told to do|been told",
            r"|were told|instructed|been taught)\b)",
        ))
    }),
    Rule::new(INSTRUCTION_OVERRIDE, Medium, IGNORE, || {
        phrase(
            r"\b(?:ignore|disregard|forget) the (?:above|previous|preceding)[,.;:]? (?:and|instead|then)\b",
        )
    }),
    Rule::new(
        INSTRUCTION_OVERRIDE,
        High,
        "new system|new developer",
        || phrase(r"\bnew (?:system|developer) (?:prompt|instructions?|messages?|directives?) ?:"),
    ),
    Rule::new(
        INSTRUCTION_OVERRIDE,
        Medium,
        "instructions|directive",
        || {
            phrase(concat!(
                r"\b(?:your|the) (?:new|real|actual|true|updated|only) (?:system )?(?:instructions",
                r"|directives?) (?:is|are)",
                r"(?: now)?(?: to\b| as follows| the following|:)",
            ))
        },
    ),
    Rule::new(
        INSTRUCTION_OVERRIDE,
        High,
        "ignorier|missachte|vergi|vergessen|ueberschreib|uberschreib|nicht (?:mehr )?befolg",
        || {
            phrase(concat!(
                r"\b(?:ignorier(?:e|en|t)?|missachte[nt]?|vergi(?:ss|(?u:\x{df}))|vergessen",
                r"|u(?:e)?berschreib(?:e|en|t)?)(?: sie)?(?: bitte)?",
                r"(?: (?:alle[nsr]?|jede|samtliche[n]?|saemtliche[n]?|die|den|deine[n]?|ihre[n]?|eure",
                r"|meine|diese|von)){0,4}",
                r"(?: (?:alle[nsr]?|deine[n]?|ihre[n]?|vorherige[nr]?|vorige[nr]?|bisherige[nr]?",
                r"|vorangegangene[nr]?|vorhergehende[nr]?",
                r"|obige[nr]?|fru(?:e)?here[nr]?|vorstehende[nr]?|urspru(?:e)?ngliche[nr]?",
                r"|gegebene[nr]?))(?: (?:und|oder|gegebenen?))?",
                r" (?:system-? ?)?(?:anweisung(?:en)?|instruktion(?:en)?|befehle?|vorgaben?|regeln",
                r"|prompts?|anordnung(?:en)?|richtlinien)\b",
            ))
        },
    ),
    Rule::new(
        INSTRUCTION_OVERRIDE,
        High,
        "ignor|oubli|negligez?|compte|plus les",
        || {
            phrase(concat!(
                r"\b(?:ignor(?:e|ez|er)|oubli(?:e|ez|er)|neglige[zr]?|ne (?:tiens|tenez) (?:pas|plus",
                r"|aucun) compte|ne (?:suis|suivez|respecte|respectez) (?:pas|plus))",
                r"(?: (?:toutes?|tous|les|tes|vos|l'ensemble|de|des|ces|mes)){0,5}",
                r"(?: (?:instructions?|consignes?|directives?|regles|ordres))",
                r"(?: (?:et|ou|consignes?|directives?|regles|que|qui|vous|t'ont|tu|as|ont|ete|avez",
                r"|recues?|donnees?)){0,6}",
                r" (?:precedente?s?|anterieure?s?|ci-dessus|initiale?s?|precedemment|d'origine",
                r"|du systeme|systeme|recues?|donnees?)\b",
            ))
        },
    ),
    Rule::new(
        INSTRUCTION_OVERRIDE,
        High,
        "ignor|olvid|omit|desatiend|descart|no sigas|caso|cuenta",
        || {
            phrase(concat!(
                r"\b(?:ignor(?:a|e|ad|en|ar)|olvid(?:a|e|ad|en|ar|ate)|omit(?:e|a|ir)|desatiende",
                r"|descart(?:a|e)|no sigas|no hagas caso (?:a|de)|no tengas en cuenta)",
                r"(?: (?:todas|todos|las|los|tus|sus|mis|estas|a|de|tu)){0,5}",
                r" (?:instrucciones|indicaciones|ordenes|reglas|directrices|normas)",
                r"(?: (?:e|y|o|que|te|se|han|dado|dadas|recibidas|indicaciones|reglas|ordenes)){0,5}",
                r" (?:anteriores|previas|precedentes|de arriba|del sistema|originales|iniciales|dadas",
                r"|recibidas|anteriormente)\b",
            ))
        },
    ),
    Rule::new(
        ROLE_REASSIGNMENT,
        High,
        "you are now|you're now|from now on|act as|pretend|roleplay",
        || {
            phrase(concat!(
                r"\b(?:you are now|you're now|from now on,? you are|act as(?: if you (?:are|were))?",
                r"|pretend (?:to be|you are|you're|that you are)|roleplay as)",
                r"(?: (?:an?|the|my|in|now|called|named|operating|running|as)){0,3}(?: [a-z]{1,20}){0,2}?",
                r" (?:dan|unrestricted|uncensored|unfiltered|unaligned|jailbroken|(?:evil|rogue",
                r"|amoral) (?:ai|assistant|model|bot|chatbot)",
                r"|developer mode|god mode|jailbreak mode|debug mode|sudo mode)\b",
            ))
        },
    ),
    Rule::new(ROLE_REASSIGNMENT, High, "without|with no|has no", || {
        phrase(concat!(
            r"\b(?:you are now|you're now|act as|pretend (?:to be|you are|you're|that you are)|roleplay as|respond as|behave as)",
            r"(?: [a-z]{1,20}){1,6}? (?:without|with no|that has no|who has no) (?:any )?(?:ethical |moral |content |safety )?",
            r"(?:restrictions|rules|limits|limitations|filters|guidelines|constraints|censorship)\b",
        ))
    }),
    Rule::new(ROLE_REASSIGNMENT, Medium, "you are now|you're now", || {
        phrase(concat!(
            r"\b(?:you are now|you're now) (?:(?:an?|the|my) )?(?:[a-z]{1,20} ){0,3}?",
            r"(?:ai|assistant|chatbot|bot|language model|model|agent|hacker|system administrator",
            r"|administrator|root|terminal|shell|interpreter|persona|character)\b",
        ))
    }),
    Rule::new(ROLE_REASSIGNMENT, High, "longer|free from|free of", || {
        phrase(concat!(
            r"\byou (?:are|'re) (?:no longer (?:bound|restricted|limited|constrained|governed",
            r"|an? (?:ai|assistant|language model))",
            r"|(?:now )?free (?:from|of) (?:all |any |your |the )?(?:restrictions|rules|guidelines",
            r"|constraints|limitations|limits|filters))\b",
        ))
    }),
    Rule::new(ROLE_REASSIGNMENT, Medium, "from now on", || {
        phrase(concat!(
            r"\bfrom now on,? (?:you (?:will|must|shall|should|are to|have to)|always|only) (?:only )?",
            r"(?:act|behave|obey|operate|pretend|comply|ignore|respond only|answer only|reply only",
            r"|speak only)\b",
        ))
    }),
    // Chat templates.
    Rule::new(ROLE_MARKER, High, r"<\|", || {
        phrase(concat!(
            r"<\|(?:[a-z][a-z0-9_]{1,30}|(?u:[a-z\x{2581}_]{3,30}))\|>(?: ?(?:system|assistant",
            r"|user|developer|tool)\b)?",
        ))
    }),
    Rule::new(ROLE_MARKER, High, r"inst\]|sys>>|_of_turn>", || {
        phrase(r"\[/?inst\]|<</?sys>>|<(?:start|end)_of_turn>")
    }),
    Rule::new(
        ROLE_MARKER,
        Medium,
        "system|instruction|assistant|developer",
        || {
            phrase(concat!(
                r"(?:^|\n)(?:#{2,6} ?(?:system|system (?:prompt|message)|instructions?|assistant",
                r"|developer)(?: (?:prompt|message))? ?:",
                r"|\[?(?:system|developer)(?: (?:prompt|message|note|override))?\]? ?: ?(?:you (?:are",
                r"|must|will|should)|ignore|disregard|override|forget|from now on|new instructions?)\b",
                r"|<(?:system|developer)>",
                r"|\[(?:system|developer) (?:prompt|message|override)\])",
            ))
        },
    ),
    Rule::new(
        PROMPT_DISCLOSURE,
        High,
        "prompt|instruction|message|programming",
        || {
            phrase(concat!(
                r"\b(?:reveal|show|print|output|repeat|display|leak|expose|disclose|tell|give|share",
                r"|dump|recite|write|reproduce|echo|paste|return|what(?: is|'s| are| was| were))",
                r"(?: (?:me|us|out|back|down|up|exactly|verbatim|all|of|the|contents?|full|text",
                r"|word for word)){0,6}",
                r" your (?:(?:full|entire|complete|exact|own|original|initial|hidden|secret|internal",
                r"|first|current|underlying|confidential|very|developer|system) ){0,4}",
                r"(?:system prompts?|system messages?|system instructions?|initial prompts?",
                r"|initial instructions?|hidden (?:prompt|instructions?)|secret (?:prompt",
                r"|instructions?)",
                r"|internal instructions?|original (?:prompt|instructions?)|developer (?:prompt",
                r"|message|instructions?)|prompt|instructions verbatim|programming)\b",
            ))
        },
    ),
    Rule::new(
        PROMPT_DISCLOSURE,
        Medium,
        "system (?:prompt|message|instruction)|hidden instruction|initial (?:prompt|instruction)",
        || {
            phrase(concat!(
                r"\b(?:reveal|leak|expose|disclose|recite|dump|repeat|print|output|show me|tell me|give me)",
                r"(?: (?:me|us|out|back|all|of|everything in|contents? of)){0,4} (?:the|this|that|its)",
                r"(?: (?:full|entire|complete|exact|original|initial|hidden|secret|internal)){0,3}",
                r" (?:system prompt|system instructions?|hidden (?:prompt|instructions?)",
                r"|initial (?:prompt|instructions?))\b",
            ))
        },
    ),
    Rule::new(PROMPT_DISCLOSURE, Medium, "repeat|print|output", || {
        phrase(concat!(
            r"\b(?:repeat|print|output) (?:everything|all(?: of)? the (?:text|words)|the (?:text",
            r"|words|content)) (?:above|before this|that came before)\b",
        ))
    }),
    Rule::new(PROMPT_DISCLOSURE, Medium, "your", || {
        phrase(concat!(
            r"\b(?:reveal|leak|disclose|recite|dump|repeat|print|output)(?: (?:me|us|out|back|all|of)){0,2} your",
            r"(?: (?:full|entire|complete|exact|own)){0,2} instructions\b",
        ))
    }),
    // An image is fetched without a click, and its query goes to whoever the text names.
    Rule::new(DATA_EXFILTRATION, Medium, r"!\[", || {
        phrase(concat!(
            r#"!\[(?u:[^\]\n]){0,100}\] ?\( ?<?(?:https?:)?//(?u:[^ \n)?]){1,200}\?(?u:[^ \n)]){0,200}?"#,
            r#"(?:(?:data|d|q|query|prompt|secrets?|api_?key|password|pw|context|history"#,
            r#"|conversation|chat|summary|memory|memories|info|leak|exfil|payload|log|email|user"#,
            r#"|cookie|session)=(?u:[^ \n)&])+"#,
            r#"|\{\{?[a-z_]|\$\{|<[a-z_]|\[[a-z_]|%7b)(?u:[^ \n)])*\)?"#,
        ))
    }),
    Rule::new(DATA_EXFILTRATION, Medium, "https?://", || {
        phrase(concat!(
            r"\b(?:send|post|upload|forward|transmit|exfiltrate|submit|append|encode|embed|include",
            r"|leak|deliver)",
            r"(?: [a-z',]{1,20}){0,6}? (?:conversation|chat history|chat log|history|memory",
            r"|memories|system prompt|user data|user's data|personal (?:data|information)",
            r"|api keys?|credentials|passwords?|secrets?|tokens?|environment variables",
            r"|context window|private (?:data|information|keys?)),?",
            r"(?: [a-z',]{1,20}){0,6}? (?:to|in|into|as|at",
            r"|with)(?: [a-z',:]{1,20}){0,6}? ?<?https?://(?u:[^ \n>)])+",
        ))
    }),
];

const IGNORE: &str = "ignore|disregard|forget|neglect|discard|unlearn|follow|obey|no attention";
