//! What may stand where: one table for the whole language.

use crate::dialect::{AttributeRule, BlockRule, Type, block, late, load, required};

const AFTER: AttributeRule = load("after", Type::Names);
const TIMEOUT: AttributeRule = late("timeout", Type::Duration);

const EXPECT: BlockRule = block(
    "expect",
    &[],
    &[
        late("add", Type::Number),
        late("change", Type::Number),
        late("destroy", Type::Number),
        late("forget", Type::Number),
        late("addresses", Type::Strings),
    ],
    &[],
);

const TERRAFORM: &[AttributeRule] = &[AFTER, load("targets", Type::Strings)];

const HTTP: &[AttributeRule] = &[
    AFTER,
    TIMEOUT,
    required(late("url", Type::String)),
    late("method", Type::String),
    late("headers", Type::Object),
    late("body", Type::Any),
    late("status", Type::Any),
    load("repeatable", Type::Bool),
];

const EXEC: &[AttributeRule] = &[
    AFTER,
    TIMEOUT,
    required(late("command", Type::Strings)),
    late("dir", Type::String),
    late("environment", Type::Object),
    load("repeatable", Type::Bool),
];

/// One service in a patch: what its job, group or task becomes.
const SERVICE: BlockRule = block(
    "service",
    &["JOB[/GROUP[/TASK]]"],
    &[late("image", Type::String), late("repository", Type::String), late("set", Type::Object)],
    &[block(
        "resources",
        &[],
        &[
            late("cpu", Type::Number),
            late("cores", Type::Number),
            late("memory", Type::Number),
            late("memory_max", Type::Number),
            late("disk", Type::Number),
            late("secrets", Type::Number),
            late("iops", Type::Number),
        ],
        &[],
    )],
);

/// The whole of a patch file.
pub const PATCH_FILE: BlockRule = block(
    "",
    &[],
    &[
        load("description", Type::String),
        late("parallel", Type::Number),
        late("on_failure", Type::String),
        TIMEOUT,
    ],
    &[SERVICE],
);

/// The step kinds, by the first label of a `step` block.
pub const STEPS: &[BlockRule] = &[
    block("terraform_apply", &[], TERRAFORM, &[EXPECT]),
    block("terraform_destroy", &[], TERRAFORM, &[EXPECT]),
    block(
        "nomad_job",
        &[],
        &[
            AFTER,
            TIMEOUT,
            required(late("files", Type::Strings)),
            late("variables", Type::Object),
            late("wait", Type::Bool),
        ],
        &[],
    ),
    block(
        "nomad_stop",
        &[],
        &[AFTER, TIMEOUT, required(late("jobs", Type::Strings)), late("purge", Type::Bool)],
        &[],
    ),
    block(
        "nomad_start",
        &[],
        &[
            AFTER,
            TIMEOUT,
            required(late("jobs", Type::Strings)),
            late("files", Type::Strings),
            late("kept", Type::Strings),
        ],
        &[],
    ),
    block(
        "nomad_restart",
        &[],
        &[
            AFTER,
            TIMEOUT,
            required(late("jobs", Type::Strings)),
            late("batch", Type::Any),
            late("delay", Type::Duration),
        ],
        &[],
    ),
    block(
        "nomad_scale",
        &[],
        &[
            AFTER,
            TIMEOUT,
            required(late("job", Type::String)),
            late("group", Type::String),
            required(late("count", Type::Number)),
            late("interval", Type::Duration),
            late("min", Type::Number),
        ],
        &[],
    ),
    block(
        "nomad_patch",
        &[],
        &[
            AFTER,
            TIMEOUT,
            late("images", Type::Object),
            late("parallel", Type::Number),
            late("on_failure", Type::String),
            late("only", Type::String),
            late("shared", Type::Bool),
            late("commit", Type::Bool),
            load("description", Type::String),
            late("running", Type::Bool),
        ],
        &[SERVICE],
    ),
    block(
        "sql",
        &[],
        &[
            AFTER,
            required(late("database", Type::String)),
            required(late("statement", Type::String)),
            late("params", Type::Object),
            late("rows", Type::Number),
            load("repeatable", Type::Bool),
        ],
        &[],
    ),
    block("http", &[], HTTP, &[]),
    block("exec", &[], EXEC, &[]),
    block("manual", &[], &[AFTER, required(late("text", Type::String))], &[]),
    block("approve", &[], &[AFTER, required(late("text", Type::String))], &[]),
];

/// The probe kinds.
pub const PROBES: &[BlockRule] = &[
    block(
        "sql",
        &[],
        &[
            required(late("database", Type::String)),
            required(late("query", Type::String)),
            late("params", Type::Object),
        ],
        &[],
    ),
    block(
        "http",
        &[],
        &[
            required(late("url", Type::String)),
            late("headers", Type::Object),
            late("timeout", Type::Duration),
        ],
        &[],
    ),
    block(
        "prometheus",
        &[],
        &[
            required(late("address", Type::String)),
            required(late("query", Type::String)),
            late("headers", Type::Object),
        ],
        &[],
    ),
    block("nomad", &[], &[late("jobs", Type::Strings)], &[]),
    block(
        "exec",
        &[],
        &[
            required(late("command", Type::Strings)),
            late("dir", Type::String),
            late("environment", Type::Object),
            late("timeout", Type::Duration),
        ],
        &[],
    ),
];

pub const CHECK: BlockRule =
    block("check", &["NAME"], &[required(late("condition", Type::Any)), late("error", Type::Any)], PROBES);

pub const STEP: BlockRule = block("step", &["KIND", "NAME"], &[], &[]);

/// The whole of a plan file.
pub const FILE: BlockRule = block("", &[], &[], &[PLAN]);

pub const PLAN: BlockRule = block(
    "plan",
    &["NAME"],
    &[load("description", Type::String), load("operation", Type::String), late("applies", Type::Any)],
    &[
        block("variable", &["NAME"], &[load("description", Type::String), load("default", Type::Any)], &[]),
        CHECK,
        block("probe", &["NAME"], &[], PROBES),
        block(
            "wave",
            &["NAME"],
            &[AFTER],
            &[
                CHECK,
                STEP,
                block("record", &["NAME"], &[load("optional", Type::Bool)], PROBES),
                block(
                    "gate",
                    &["NAME"],
                    &[
                        load("all", Type::Names),
                        required(late("until", Type::Any)),
                        late("fail_when", Type::Any),
                        load("every", Type::Duration),
                        load("consecutive", Type::Number),
                        load("deadline", Type::Duration),
                        load("on_deadline", Type::String),
                    ],
                    PROBES,
                ),
                block("finally", &[], &[], &[STEP]),
            ],
        ),
    ],
);
