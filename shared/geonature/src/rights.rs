//! The rights that the workers' role needs on GeoNature's objects, as data: `passereau install` grants them, `passereau check`
//! looks for each.
//!
//! GeoNature's triggers, checks and column defaults run in the name of whoever writes, so the role needs what they touch too
//! (<https://github.com/PnX-SI/GeoNature>, backend/geonature/migrations/data/core). Foreign keys need nothing: PostgreSQL
//! looks them up in the name of the table's owner.

use serde::Serialize;

use crate::Catalogue;

/// A part of the work that an administrator may or may not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// Writing observations.
    Harvest,
    /// Making datasets, for subscriptions with `metadata = create`.
    Metadata,
    /// Writing media, for subscriptions with `media = true`.
    Media,
    /// Giving rows that were written by hand their permanent UUID, on a platform that is adopted.
    Adoption,
    /// Taking rows of vanished records away with what hangs on them, for subscriptions with `vanished = delete`.
    Removal,
    /// Making deliveries of flows, as a role of its own.
    Exporter,
    /// Serving them, as a role of its own.
    Gateway,
}

impl Feature {
    /// All of the roles that harvest.
    pub const ALL: [Self; 5] = [Self::Harvest, Self::Metadata, Self::Media, Self::Adoption, Self::Removal];
}

/// What a right is on. Tables are named `schema.table`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Object {
    Schema(&'static str),
    /// A schema that not every platform has, or not yet.
    SchemaOf(&'static str),
    Table(&'static str),
    /// The sequence that numbers this table's rows, whatever its name.
    SequenceOf(&'static str),
    Database,
}

/// Rights of one kind for one purpose.
pub(crate) struct Group {
    pub feature: Feature,
    pub doing: &'static str,
    pub privileges: &'static [&'static str],
    pub on: &'static [Object],
}

use Object::{Database, Schema, SchemaOf, SequenceOf, Table};

const GROUPS: &[Group] = &[
    Group {
        feature: Feature::Harvest,
        doing: "making the schemas passereau and pinv_gbif, which the role then owns",
        privileges: &["CREATE"],
        on: &[Database],
    },
    Group {
        feature: Feature::Harvest,
        doing: "seeing GeoNature's schemas",
        privileges: &["USAGE"],
        on: &[
            Schema("gn_synthese"),
            Schema("gn_meta"),
            Schema("gn_commons"),
            Schema("gn_sensitivity"),
            Schema("ref_nomenclatures"),
            Schema("ref_geo"),
            Schema("taxonomie"),
            Schema("utilisateurs"),
        ],
    },
    Group {
        feature: Feature::Harvest,
        doing: "reading what a conversion looks up: source, datasets, areas, names and their links to GBIF, vocabularies",
        privileges: &["SELECT"],
        on: &[
            Table("gn_synthese.t_sources"),
            Table("gn_meta.t_datasets"),
            Table("ref_geo.bib_areas_types"),
            Table("ref_geo.l_areas"),
            Table("taxonomie.taxref"),
            Table("taxonomie.taxref_liens"),
            Table("taxonomie.t_meta_taxref"),
            Table("ref_nomenclatures.t_nomenclatures"),
            Table("ref_nomenclatures.bib_nomenclatures_types"),
        ],
    },
    Group {
        feature: Feature::Harvest,
        doing: "reading what the defaults of the synthèse read: values for columns that are left out",
        privileges: &["SELECT"],
        on: &[
            Table("gn_synthese.defaults_nomenclatures_value"),
            Table("gn_commons.t_parameters"),
            Table("utilisateurs.bib_organismes"),
        ],
    },
    Group {
        feature: Feature::Harvest,
        doing: "reading what the triggers of sensitivity read",
        privileges: &["SELECT"],
        on: &[
            Table("gn_sensitivity.t_sensitivity_rules_cd_ref"),
            Table("gn_sensitivity.cor_sensitivity_area"),
            Table("gn_sensitivity.cor_sensitivity_criteria"),
        ],
    },
    Group {
        feature: Feature::Harvest,
        doing: "writing observations",
        privileges: &["SELECT", "INSERT", "UPDATE", "DELETE"],
        on: &[Table("gn_synthese.synthese")],
    },
    Group {
        feature: Feature::Harvest,
        doing: "numbering observations",
        privileges: &["USAGE"],
        on: &[SequenceOf("gn_synthese.synthese")],
    },
    Group {
        feature: Feature::Harvest,
        doing: "attaching observations to areas, as triggers do and the cells of obscured positions need",
        privileges: &["SELECT", "INSERT", "DELETE"],
        on: &[Table("gn_synthese.cor_area_synthese")],
    },
    Group {
        feature: Feature::Harvest,
        doing: "logging deleted observations, as a trigger does",
        privileges: &["SELECT", "INSERT", "UPDATE"],
        on: &[Table("gn_synthese.t_log_synthese")],
    },
    Group {
        feature: Feature::Metadata,
        doing: "metadata: finding the acquisition framework and the defaults of a dataset",
        privileges: &["SELECT"],
        on: &[Table("gn_meta.t_acquisition_frameworks"), Table("ref_nomenclatures.defaults_nomenclatures_value")],
    },
    Group {
        feature: Feature::Metadata,
        doing: "metadata: making datasets and the organisations that publish them",
        privileges: &["INSERT"],
        on: &[Table("gn_meta.t_datasets"), Table("gn_meta.cor_dataset_actor"), Table("utilisateurs.bib_organismes")],
    },
    Group {
        feature: Feature::Metadata,
        doing: "metadata: taking a dataset back of which no record entered, in the transaction that made it",
        privileges: &["DELETE"],
        on: &[Table("gn_meta.t_datasets")],
    },
    Group {
        feature: Feature::Metadata,
        doing: "metadata: numbering them",
        privileges: &["USAGE"],
        on: &[
            SequenceOf("gn_meta.t_datasets"),
            SequenceOf("gn_meta.cor_dataset_actor"),
            SequenceOf("utilisateurs.bib_organismes"),
        ],
    },
    Group {
        feature: Feature::Metadata,
        // Not the whole table: it holds passwords.
        doing: "metadata: the check of cor_dataset_actor that an actor is no group reads these two columns",
        privileges: &["SELECT (id_role)", "SELECT (groupe)"],
        on: &[Table("utilisateurs.t_roles")],
    },
    Group {
        feature: Feature::Media,
        doing: "media: finding the table that they are attached to",
        privileges: &["SELECT"],
        on: &[Table("gn_commons.bib_tables_location")],
    },
    Group {
        feature: Feature::Media,
        doing: "media: writing them",
        privileges: &["SELECT", "INSERT", "UPDATE", "DELETE"],
        on: &[Table("gn_commons.t_medias")],
    },
    Group {
        feature: Feature::Media,
        doing: "media: the history that a trigger writes of each change",
        privileges: &["INSERT"],
        on: &[Table("gn_commons.t_history_actions")],
    },
    Group {
        feature: Feature::Media,
        doing: "media: numbering both",
        privileges: &["USAGE"],
        on: &[SequenceOf("gn_commons.t_medias"), SequenceOf("gn_commons.t_history_actions")],
    },
    Group {
        feature: Feature::Removal,
        doing: "removal: knowing on which observations people have reported",
        privileges: &["SELECT"],
        on: &[Table("gn_synthese.t_reports")],
    },
    Group {
        feature: Feature::Removal,
        doing: "removal: archiving and deleting the media and validations of a deleted observation",
        privileges: &["SELECT", "DELETE"],
        on: &[Table("gn_commons.t_medias"), Table("gn_commons.t_validations")],
    },
    Group {
        feature: Feature::Removal,
        doing: "removal: the history that a trigger writes of each deleted media, and where it belongs",
        privileges: &["INSERT"],
        on: &[Table("gn_commons.t_history_actions")],
    },
    Group {
        feature: Feature::Removal,
        doing: "removal: numbering the history",
        privileges: &["USAGE"],
        on: &[SequenceOf("gn_commons.t_history_actions")],
    },
    Group {
        feature: Feature::Removal,
        doing: "removal: finding the table that media are attached to, as that trigger does",
        privileges: &["SELECT"],
        on: &[Table("gn_commons.bib_tables_location")],
    },
    Group {
        feature: Feature::Adoption,
        doing: "adoption: moving media and validations along to the permanent UUID of their observation",
        privileges: &["SELECT", "UPDATE"],
        on: &[Table("gn_commons.t_medias"), Table("gn_commons.t_validations")],
    },
    Group {
        feature: Feature::Adoption,
        doing: "adoption: the history that a trigger writes of each moved media",
        privileges: &["INSERT"],
        on: &[Table("gn_commons.t_history_actions")],
    },
    Group {
        feature: Feature::Adoption,
        doing: "adoption: numbering the history",
        privileges: &["USAGE"],
        on: &[SequenceOf("gn_commons.t_history_actions")],
    },
    Group {
        feature: Feature::Adoption,
        doing: "adoption: finding the table that media are attached to, as that trigger does",
        privileges: &["SELECT"],
        on: &[Table("gn_commons.bib_tables_location")],
    },
];

/// What the role needs that owns our state and writes nothing of GeoNature's, where the upserter has a role of its own. Conversions run as the upserter's: of
/// GeoNature's tables this role reads no more than what stands here, no position, no name of a person.
const STATE: &[Group] = &[
    Group {
        feature: Feature::Harvest,
        doing: "making the schemas passereau and pinv_gbif, which the role then owns",
        privileges: &["CREATE"],
        on: &[Database],
    },
    Group {
        feature: Feature::Harvest,
        doing: "seeing the schemas that it reads of",
        privileges: &["USAGE"],
        on: &[Schema("gn_synthese"), Schema("gn_meta")],
    },
    Group {
        feature: Feature::Harvest,
        doing: "retention: knowing which rows of the synthèse somebody has deleted",
        privileges: &["SELECT (id_synthese)"],
        on: &[Table("gn_synthese.synthese")],
    },
    Group {
        feature: Feature::Metadata,
        doing: "metadata: refusing a request whose acquisition framework is not there",
        privileges: &["SELECT"],
        on: &[Table("gn_meta.t_acquisition_frameworks")],
    },
];

/// One GRANT statement, with what it is for.
pub(crate) struct Statement {
    pub doing: &'static str,
    pub sql: String,
}

/// One privilege on one object that this GeoNature has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Right {
    /// The part of the work that needs it.
    pub feature: Feature,
    /// What the role does with it.
    pub doing: &'static str,
    /// As after GRANT: `SELECT`, or `SELECT (groupe)` for a column.
    pub privilege: &'static str,
    /// `DATABASE`, `SCHEMA`, `SEQUENCE`, or `TABLE` for tables and views.
    pub kind: &'static str,
    /// Name of the object, as in a statement.
    pub name: String,
}

impl Right {
    /// The statement that gives it.
    pub fn grant(&self, role: &str) -> String {
        format!("GRANT {} ON {} {} TO {};", self.privilege, self.kind, self.name, quoted(role))
    }

    /// The statement that takes it away.
    pub fn revoke(&self, role: &str) -> String {
        format!("REVOKE {} ON {} {} FROM {};", self.privilege, self.kind, self.name, quoted(role))
    }
}

/// Every right that `feature` needs on this GeoNature; those on tables that its version does not have are left out.
pub fn rights(catalogue: &Catalogue, feature: Feature) -> Vec<Right> {
    of_groups(GROUPS, catalogue, feature)
}

/// Those of some groups.
pub(crate) fn of_groups(groups: &[Group], catalogue: &Catalogue, feature: Feature) -> Vec<Right> {
    let mut rights = Vec::new();
    for group in groups.iter().filter(|group| group.feature == feature) {
        for (kind, name) in targets(catalogue, group) {
            for privilege in group.privileges {
                rights.push(Right { feature, doing: group.doing, privilege, kind, name: name.clone() });
            }
        }
    }
    rights
}

/// The same, as few statements that an administrator can read.
pub(crate) fn grants(catalogue: &Catalogue, feature: Feature, role: &str) -> Vec<Statement> {
    statements(GROUPS, catalogue, feature, |group, _| {
        Some((group.doing, format!("GRANT {}", group.privileges.join(", ")), format!("TO {}", quoted(role))))
    })
}

/// What `feature` needs of the role that owns our state.
pub(crate) fn grants_to_state(catalogue: &Catalogue, feature: Feature, role: &str) -> Vec<Statement> {
    statements(STATE, catalogue, feature, |group, _| {
        Some((group.doing, format!("GRANT {}", group.privileges.join(", ")), format!("TO {}", quoted(role))))
    })
}

/// Takes from that role what the one role of an installation had that did both. Comes before [`grants_to_state`]: with a right on a table PostgreSQL takes
/// those on its columns.
pub(crate) fn revokes_from_state(catalogue: &Catalogue, feature: Feature, role: &str) -> Vec<Statement> {
    statements(GROUPS, catalogue, feature, |group, kind| {
        let doing = "what only the writer of the synthèse needs, the owner of the state does not keep";
        let revoke = format!("REVOKE {}", group.privileges.join(", "));
        (kind != "DATABASE").then(|| (doing, revoke, format!("FROM {}", quoted(role))))
    })
}

/// What the writer of the synthèse needs beside the owner of the state, of which it is a member.
pub(crate) fn grants_to_writer(catalogue: &Catalogue, feature: Feature, role: &str) -> Vec<Statement> {
    statements(GROUPS, catalogue, feature, |group, kind| {
        let grant = format!("GRANT {}", group.privileges.join(", "));
        (kind != "DATABASE").then(|| (group.doing, grant, format!("TO {}", quoted(role))))
    })
}

/// One statement for each group for which `words` has some: what it does, its beginning, its end.
pub(crate) fn statements(
    groups: &[Group],
    catalogue: &Catalogue,
    feature: Feature,
    words: impl Fn(&Group, &str) -> Option<(&'static str, String, String)>,
) -> Vec<Statement> {
    let statement = |group: &Group| {
        let (kinds, names): (Vec<_>, Vec<_>) = targets(catalogue, group).into_iter().unzip();
        // All objects of a group are of one kind.
        let kind = kinds.first()?;
        let (doing, begin, end) = words(group, kind)?;
        Some(Statement { doing, sql: format!("{begin} ON {kind} {}\n    {end};", names.join(",\n    ")) })
    };
    groups.iter().filter(|group| group.feature == feature).filter_map(statement).collect()
}

/// Kind and name of the objects of a group that are there.
fn targets(catalogue: &Catalogue, group: &Group) -> Vec<(&'static str, String)> {
    let target = |object: &Object| match object {
        Schema(name) => Some(("SCHEMA", (*name).to_owned())),
        SchemaOf(name) => catalogue.has_schema(name).then(|| ("SCHEMA", (*name).to_owned())),
        Table(name) => catalogue.has(name).then(|| ("TABLE", (*name).to_owned())),
        SequenceOf(table) => catalogue.sequences.get(*table).map(|sequence| ("SEQUENCE", sequence.clone())),
        Database => Some(("DATABASE", quoted(&catalogue.database))),
    };
    group.on.iter().filter_map(target).collect()
}

/// A name in a statement.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
