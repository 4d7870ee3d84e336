-- Roles of the demonstration (docs/security.md, "Who connects as whom"). In production an administrator makes them, with other passwords.
CREATE ROLE passereau LOGIN PASSWORD 'demo';
CREATE ROLE passereau_writer LOGIN PASSWORD 'demo';
CREATE ROLE passereau_reader LOGIN PASSWORD 'demo';
CREATE ROLE passereau_exporter LOGIN PASSWORD 'demo';
CREATE ROLE passereau_gateway LOGIN PASSWORD 'demo';
-- For Grafana: deploy/grafana/grants.sql says what it may read.
CREATE ROLE passereau_grafana LOGIN PASSWORD 'demo';
-- For the exporter of PostgreSQL's own metrics.
CREATE ROLE passereau_monitor LOGIN PASSWORD 'demo' IN ROLE pg_monitor;
