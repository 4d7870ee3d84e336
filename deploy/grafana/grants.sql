-- What Grafana's data source of PostgreSQL may read: how far each harvest is, nothing of records, requests or people.
-- psql "$PASSEREAU_DATABASE_URL" -v role=grafana -f deploy/grafana/grants.sql   (as the owner of the schema passereau; the role exists already)
GRANT USAGE ON SCHEMA passereau TO :"role";
GRANT SELECT (id, subscription, state, created_at, updated_at, inserted, updated, rejected) ON passereau.harvest TO :"role";
