-- Values of the procedure's tables that the types of their columns cannot hold: a platform may have widened the columns, and what
-- it copied into them does not stop the adoption (functions/92_adopt.sql).
ALTER TABLE passereau.adoption ADD COLUMN unreadable bigint NOT NULL DEFAULT 0;
