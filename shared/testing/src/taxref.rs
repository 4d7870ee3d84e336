//! Rows of TAXREF for a list of taxa: the taxa, and the ranks above them as far as they are named.
//!
//! Codes of the ranks above are real for the three large kingdoms and invented from 8,000,000 for the rest (the real TAXREF stays
//! below 1,100,000); a rank that an earlier call has made is found again by its name.

use std::collections::BTreeMap;

use anyhow::Result;
use sqlx::{PgPool, Postgres, Transaction};

use crate::SeedTaxon;

/// Root of TAXREF's tree.
const BIOTA: i32 = 349_525;
/// First invented code.
const INVENTED: i32 = 8_000_000;
/// Codes of the real TAXREF.
const KINGDOMS: [(&str, i32); 3] = [("Animalia", 183_716), ("Plantae", 187_079), ("Fungi", 187_496)];

/// (rank, name) and the `cd_nom` of the accepted name that bears it.
pub(crate) type Known = BTreeMap<(String, String), i32>;

/// One row to insert.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    cd_nom: i32,
    cd_ref: i32,
    above: Option<i32>,
    rank: &'static str,
    canonical: String,
    full: String,
    accepted: String,
    vernacular: Option<String>,
    lineage: [Option<String>; 5],
}

/// Accepted names of the higher ranks that are in the database.
pub(crate) async fn known_above(pool: &PgPool) -> Result<Known> {
    let rows: Vec<(String, String, i32)> = sqlx::query_as(
        "SELECT id_rang, lb_nom, cd_nom FROM taxonomie.taxref
          WHERE cd_nom = cd_ref AND id_rang IN ('KD', 'PH', 'CL', 'OR', 'FM', 'GN')",
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(rank, name, cd_nom)| ((rank, name), cd_nom)).collect())
}

fn rank_code(gbif_rank: &str) -> &'static str {
    match gbif_rank {
        "KINGDOM" => "KD",
        "PHYLUM" => "PH",
        "CLASS" => "CL",
        "ORDER" => "OR",
        "FAMILY" => "FM",
        "GENUS" => "GN",
        "SUBSPECIES" => "SSES",
        "VARIETY" => "VAR",
        "FORM" => "FO",
        _ => "ES",
    }
}

fn present(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// The rows of `taxa` and of the ranks above them that `known` lacks.
pub(crate) fn rows(known: &Known, taxa: &[SeedTaxon]) -> Vec<Row> {
    let mut known = known.clone();
    let mut next = known
        .values()
        .copied()
        .filter(|cd_nom| (INVENTED..9_000_000).contains(cd_nom))
        .max()
        .map_or(INVENTED, |last| last + 1);
    let mut rows = Vec::new();
    // Listed taxa come first: a family of the list is the parent of the species of the list.
    for taxon in taxa.iter().filter(|taxon| taxon.cd_nom == taxon.cd_ref) {
        known.entry((rank_code(&taxon.rank).to_owned(), taxon.canonical_name.clone())).or_insert(taxon.cd_nom);
    }
    let accepted: BTreeMap<i32, &SeedTaxon> =
        taxa.iter().filter(|taxon| taxon.cd_nom == taxon.cd_ref).map(|taxon| (taxon.cd_nom, taxon)).collect();
    for taxon in taxa {
        let lineage =
            [&taxon.kingdom, &taxon.phylum, &taxon.class, &taxon.order, &taxon.family].map(|name| present(name));
        let rank = rank_code(&taxon.rank);
        let mut above = BIOTA;
        for (depth, code) in ["KD", "PH", "CL", "OR", "FM"].into_iter().enumerate() {
            let Some(name) = &lineage[depth] else { continue };
            if code == rank {
                break;
            }
            let key = (code.to_owned(), name.clone());
            above = match known.get(&key) {
                Some(cd_nom) => *cd_nom,
                None => {
                    let real =
                        KINGDOMS.iter().find(|(kingdom, _)| code == "KD" && kingdom == name).map(|(_, cd_nom)| *cd_nom);
                    let cd_nom = real.unwrap_or_else(|| {
                        next += 1;
                        next - 1
                    });
                    let mut upper = lineage.clone();
                    upper[depth + 1..].fill(None);
                    rows.push(Row {
                        cd_nom,
                        cd_ref: cd_nom,
                        above: Some(above),
                        rank: code,
                        canonical: name.clone(),
                        full: name.clone(),
                        accepted: name.clone(),
                        vernacular: None,
                        lineage: upper,
                    });
                    known.insert(key, cd_nom);
                    cd_nom
                }
            };
        }
        let words: Vec<&str> = taxon.canonical_name.split(' ').collect();
        let parents =
            [("ES", words.iter().take(2).copied().collect::<Vec<_>>().join(" ")), ("GN", words[0].to_owned())];
        for (code, name) in parents {
            let below = matches!((code, rank), ("ES", "SSES" | "VAR" | "FO") | ("GN", "ES" | "SSES" | "VAR" | "FO"));
            if let Some(parent) = known.get(&(code.to_owned(), name)).filter(|parent| below && **parent != taxon.cd_nom)
            {
                above = *parent;
                break;
            }
        }
        rows.push(Row {
            cd_nom: taxon.cd_nom,
            cd_ref: taxon.cd_ref,
            // A synonym has no place of its own in the tree.
            above: (taxon.cd_nom == taxon.cd_ref).then_some(above),
            rank,
            canonical: taxon.canonical_name.clone(),
            full: taxon.scientific_name.clone(),
            accepted: accepted.get(&taxon.cd_ref).map_or(&taxon.scientific_name, |name| &name.scientific_name).clone(),
            vernacular: present(&taxon.vernacular_name),
            lineage,
        });
    }
    rows
}

/// INPN's two groups of a lineage, for the classes that archives of the region are full of.
fn inpn_groups(row: &Row) -> (&'static str, &'static str) {
    let [kingdom, phylum, class, ..] = row.lineage.each_ref().map(|name| name.as_deref().unwrap_or(""));
    match (kingdom, phylum, class) {
        (_, _, "Aves") => ("Chordés", "Oiseaux"),
        (_, _, "Mammalia") => ("Chordés", "Mammifères"),
        (_, _, "Amphibia") => ("Chordés", "Amphibiens"),
        (_, _, "Reptilia" | "Squamata" | "Testudines") => ("Chordés", "Reptiles"),
        (_, _, "Actinopterygii") => ("Chordés", "Poissons"),
        (_, _, "Insecta") => ("Arthropodes", "Insectes"),
        (_, _, "Arachnida") => ("Arthropodes", "Arachnides"),
        (_, _, "Gastropoda") => ("Mollusques", "Gastéropodes"),
        (_, _, "Bivalvia") => ("Mollusques", "Bivalves"),
        (_, _, "Magnoliopsida" | "Liliopsida") => ("Trachéophytes", "Angiospermes"),
        (_, _, "Pinopsida") => ("Trachéophytes", "Gymnospermes"),
        (_, _, "Polypodiopsida") => ("Trachéophytes", "Fougères"),
        (_, "Bryophyta", _) => ("Bryophytes", "Mousses"),
        ("Fungi", _, _) => ("Ascomycètes", "Ascomycètes"),
        _ => ("Autres", "Autres"),
    }
}

pub(crate) async fn insert(tx: &mut Transaction<'_, Postgres>, rows: &[Row]) -> Result<()> {
    fn column<T>(rows: &[Row], value: impl Fn(&Row) -> T) -> Vec<T> {
        rows.iter().map(value).collect()
    }
    sqlx::query(
        "INSERT INTO taxonomie.taxref
             (cd_nom, cd_ref, cd_sup, cd_taxsup, id_rang, id_statut, id_habitat, lb_nom, lb_auteur, nom_complet, nom_complet_html,
              nom_valide, nom_vern, regne, phylum, classe, ordre, famille, group1_inpn, group2_inpn, group3_inpn)
         SELECT cd_nom, cd_ref, above, above, rank, 'P', 3, canonical, nullif(btrim(replace(full_name, canonical, '')), ''),
                full_name, '<i>' || full_name || '</i>', accepted, vernacular, kingdom, phylum, class, order_name, family,
                group1, group2, 'Autres'
           FROM unnest($1::int[], $2::int[], $3::int[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                       $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[])
             AS row (cd_nom, cd_ref, above, rank, canonical, full_name, accepted, vernacular, kingdom, phylum, class,
                     order_name, family, group1, group2)
         ON CONFLICT (cd_nom) DO NOTHING",
    )
    .bind(column(rows, |row| row.cd_nom))
    .bind(column(rows, |row| row.cd_ref))
    .bind(column(rows, |row| row.above))
    .bind(column(rows, |row| row.rank.to_owned()))
    .bind(column(rows, |row| row.canonical.clone()))
    .bind(column(rows, |row| row.full.clone()))
    .bind(column(rows, |row| row.accepted.clone()))
    .bind(column(rows, |row| row.vernacular.clone()))
    .bind(column(rows, |row| row.lineage[0].clone()))
    .bind(column(rows, |row| row.lineage[1].clone()))
    .bind(column(rows, |row| row.lineage[2].clone()))
    .bind(column(rows, |row| row.lineage[3].clone()))
    .bind(column(rows, |row| row.lineage[4].clone()))
    .bind(column(rows, |row| inpn_groups(row).0.to_owned()))
    .bind(column(rows, |row| inpn_groups(row).1.to_owned()))
    .execute(&mut **tx)
    .await?;
    Ok(())
}
