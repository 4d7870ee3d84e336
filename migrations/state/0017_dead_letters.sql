-- Dead letters come back as they were, byte for byte, and are found by the message that died.

-- The body of a message that is sent again as it came. jsonb would refuse some texts (U+0000), round some numbers and sort the keys; `body`
-- is then JSON null.
ALTER TABLE passereau.outbox ADD COLUMN raw bytea CHECK (raw IS NULL OR body = 'null');
ALTER TABLE passereau.sent ADD COLUMN raw bytea CHECK (raw IS NULL OR body = 'null');

-- All deaths of one message: its history.
CREATE INDEX dead_letter_message ON passereau.dead_letter (message_id);
