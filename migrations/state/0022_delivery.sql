-- What a delivery is asked by, whether somebody still works on it, and whether its leavings are gone.

ALTER TABLE passereau.delivery
    -- The id of the message that asked for it. Its own id is the same, unless the message had to begin again: the agreement had changed, or a part was
    -- lost. None for a message without an id.
    ADD COLUMN asked_by uuid,
    -- when a step of it was last taken
    ADD COLUMN worked_at timestamptz NOT NULL DEFAULT now(),
    -- when, after its end, everything of it was taken out of the store that is not a version which can be fetched
    ADD COLUMN tidied_at timestamptz;
UPDATE passereau.delivery SET asked_by = id;
CREATE INDEX delivery_asked_by ON passereau.delivery (asked_by);
