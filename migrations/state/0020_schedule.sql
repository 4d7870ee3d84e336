-- Schedules: what periods are counted from, and why one stands still. The retention is one of them.

ALTER TABLE passereau.schedule
    -- Periods are counted from here and stay on it, however late the one before was noticed.
    ADD COLUMN anchor_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN suspended_because text,
    ADD CONSTRAINT schedule_name CHECK (name = 'retention' OR name ~ '^(flow|subscription):.'),
    ADD CONSTRAINT schedule_request CHECK ((request IS NOT NULL) = (name LIKE 'subscription:%')),
    ADD CONSTRAINT schedule_suspended CHECK (suspended_at IS NOT NULL OR suspended_because IS NULL);

-- Due at once, as the downloader's first look was.
INSERT INTO passereau.schedule (name, expression, next_at) VALUES ('retention', 'P1D', now());

-- A run that pauses (a delivery is held for five minutes at most) goes on after this: the kind it was at, and within the kind the last row that
-- it had looked at. Both are empty in a run that ended or was killed.
ALTER TABLE passereau.retention_run
    ADD COLUMN paused_at_kind text,
    ADD COLUMN paused_after_id bigint;
