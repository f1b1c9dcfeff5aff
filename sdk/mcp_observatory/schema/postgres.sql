-- The table of mcp_observatory.exporters.postgres. PostgreSQL 13 or later. Running it again changes nothing.
--   psql "$DATABASE_URL" -f postgres.sql

CREATE TABLE IF NOT EXISTS mcp_traces (
    trace_id                  varchar(32)   NOT NULL,
    span_id                   varchar(16)   NOT NULL,
    parent_span_id            varchar(16),
    kind                      varchar(16)   NOT NULL,
    name                      varchar(120),
    service                   varchar(80)   NOT NULL,
    provider                  varchar(40),
    model                     varchar(120),
    tool_name                 varchar(64),
    start_time                timestamptz   NOT NULL,
    end_time                  timestamptz   NOT NULL,
    prompt_tokens             bigint,
    completion_tokens         bigint,
    token_source              varchar(16),  -- reported, tiktoken or estimate
    cost_usd                  numeric(14,8),  -- NULL: not known
    retries                   bigint        NOT NULL DEFAULT 0,
    fallback_used             boolean       NOT NULL DEFAULT false,
    confidence                double precision,
    confidence_gate_blocked   boolean,  -- NULL: there was no gate
    prompt_diff_score         double precision,
    shadow_agreement          boolean,  -- NULL: there was no shadow call
    shadow_disagreement_score double precision,
    deterministic_fallback    boolean       NOT NULL DEFAULT false,
    high_risk_path            boolean       NOT NULL DEFAULT false,
    golden_passed             boolean,  -- NULL: the call was no golden scenario
    error_type                varchar(80),  -- NULL: it went well
    session_id                varchar(64),
    attributes                jsonb         NOT NULL DEFAULT '{}',
    PRIMARY KEY (trace_id, span_id)
);

-- the latest calls, of all and of one service
CREATE INDEX IF NOT EXISTS mcp_traces_latest ON mcp_traces (start_time DESC);
CREATE INDEX IF NOT EXISTS mcp_traces_service ON mcp_traces (service, start_time DESC);
