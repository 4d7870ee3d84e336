-- What is remembered of a row's columns is kept in another form from here on (functions/55_compare.sql): numbers as they are. A row
-- that was remembered in the old form counts as unedited once, instead of as edited everywhere.
UPDATE passereau.written SET columns = NULL WHERE columns IS NOT NULL;
DROP FUNCTION IF EXISTS passereau.hashed(text[]);

-- Hours that are taken away wake the slices that wait for them, too.
CREATE TRIGGER setting_hours_gone AFTER DELETE ON pinv_gbif.setting
    FOR EACH ROW WHEN (OLD.name IN ('upsert_hours', 'upsert_time_zone')) EXECUTE FUNCTION passereau.set_hours();

-- Work that RabbitMQ has confirmed, until its handler's transaction claims the inbox row. What RabbitMQ loses afterwards (a queue that
-- somebody deleted, a disk) is found here and published again.
CREATE TABLE passereau.sent (
    id          uuid PRIMARY KEY,
    routing_key text NOT NULL,
    version     integer NOT NULL,
    body        jsonb NOT NULL,
    headers     jsonb NOT NULL,
    harvest_id  uuid,
    attempt     integer NOT NULL,
    sent_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX sent_sent_at ON passereau.sent (sent_at);
