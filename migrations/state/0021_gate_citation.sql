-- A blurred record of GBIF owes a mention too: GBIF's, which is the same for all of them. What its platform has decided about the column stays.
INSERT INTO passereau.blur_rule (field, area_type, treatment, reason) VALUES
    ('citation', '*', 'generalise', 'the dataset may be that of one site; GBIF itself is owed the mention, and the manifest names its downloads')
ON CONFLICT (field, area_type) DO NOTHING;
