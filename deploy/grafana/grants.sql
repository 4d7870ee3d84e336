-- What Grafana's data source of PostgreSQL may read: how far each harvest is, nothing of records, requests, flows or people. Anyone who may make
-- dashboards can send any statement through the data source, so the rights of this role are the only limit.
-- Run it as the owner of the schema passereau, once the schemas are there: psql "$PASSEREAU_DATABASE_URL" -v ON_ERROR_STOP=1 -f deploy/grafana/grants.sql
-- The role is made before, by the server's administrator: CREATE ROLE passereau_grafana LOGIN PASSWORD '…';
GRANT USAGE ON SCHEMA passereau TO passereau_grafana;
GRANT SELECT (id, subscription, state, created_at, updated_at, inserted, updated, rejected) ON passereau.harvest TO passereau_grafana;
