//! The parts of a page.

use std::collections::BTreeMap;

use passereau_flow::Standing;
use passereau_gate::{Field, Sensitive};

use super::{
    Shown,
    html::Html,
    words::{age, moment, number, period, reason, size, values},
};
use crate::{
    catalogue::{Delivery, FileEntry},
    documents::{Explained, Tally},
    negotiate::Language,
};

/// What the flow contains.
pub(super) fn content(page: &mut Html, shown: &Shown<'_>, language: Language) {
    let agreement = &shown.flow.agreement;
    heading(page, language.pick("Contenu", "Contents"));
    page.raw("<dl>\n");
    term(page, language.pick("Structure partenaire", "Partner"), &agreement.structure);
    let studies: Vec<_> = agreement.studies.iter().map(|study| format!("{} ({})", study.name, study.nature)).collect();
    term(page, language.pick("Études", "Studies"), &studies.join(language.pick(" ; ", "; ")));
    term(page, language.pick("Territoire", "Territory"), &agreement.territory.description);
    term(page, language.pick("Groupes taxonomiques", "Taxonomic groups"), &taxa(shown, language));
    for (sources, french, english) in [
        (&agreement.sources.include, "Sources retenues", "Sources taken"),
        (&agreement.sources.exclude, "Sources écartées", "Sources left out"),
    ] {
        if !sources.is_empty() {
            term(page, language.pick(french, english), &sources.join(", "));
        }
    }
    let sensitive = match agreement.sensitive {
        Sensitive::Blurred => language.pick(
            "floutées : elles partent à la précision que permet leur niveau de sensibilité",
            "blurred: they leave at the level that their sensitivity allows",
        ),
        Sensitive::Excluded => language.pick("absentes du flux", "not in the flow"),
        Sensitive::Precise => {
            language.pick("précises, en vertu d'une autorisation", "at their precision, under an authorisation")
        }
    };
    term(page, language.pick("Données sensibles", "Sensitive records"), sensitive);
    if let Some(manifest) = shown.manifest {
        term(page, language.pick("Données", "Records"), &number(manifest.rows, language));
        if let Some(version) = &manifest.taxref_version {
            term(page, language.pick("Version de TAXREF", "Version of TAXREF"), version);
        }
    }
    page.raw("</dl>\n");
}

fn taxa(shown: &Shown<'_>, language: Language) -> String {
    let taxa = &shown.flow.agreement.taxa;
    let lists = [&taxa.regne, &taxa.group1_inpn, &taxa.group2_inpn, &taxa.group3_inpn, &taxa.ordre, &taxa.famille];
    let mut names: Vec<String> = lists.into_iter().flatten().cloned().collect();
    names.extend(taxa.cd_ref.iter().map(|cd_ref| format!("cd_ref {cd_ref}")));
    if names.is_empty() { language.pick("tous", "all").to_owned() } else { names.join(", ") }
}

/// How old it is, and whether it is late.
pub(super) fn freshness(page: &mut Html, shown: &Shown<'_>, language: Language) {
    let flow = shown.flow;
    heading(page, language.pick("Fraîcheur", "Freshness"));
    page.raw("<dl>\n");
    let every = period(&flow.agreement.period.to_string(), language);
    term(
        page,
        language.pick("Livré au moins une fois par période de", "Delivered at least once in a period of"),
        &every,
    );
    match (flow.delivered_at, shown.deliveries.first()) {
        (Some(looked), Some(newest)) => {
            let ago = age(shown.now - looked, language);
            let ago = language
                .pick(
                    format!("{} (il y a {ago})", moment(looked)).as_str(),
                    format!("{} ({ago} ago)", moment(looked)).as_str(),
                )
                .to_owned();
            term(
                page,
                language.pick("Dernière livraison, avec ou sans changement", "Last delivery, changed or not"),
                &ago,
            );
            term(
                page,
                language.pick("Contenu inchangé depuis", "Contents unchanged since"),
                &moment(newest.finished_at),
            );
        }
        _ => {
            let none = match was_delivered(shown) {
                true => language.pick("aucune qui puisse encore être récupérée", "none that may still be fetched"),
                false => language.pick("aucune encore", "none yet"),
            };
            term(page, language.pick("Dernière livraison", "Last delivery"), none);
        }
    }
    let state = match flow.standing(shown.now) {
        Standing::Active if flow.is_late(shown.now) => {
            page.element("<dt>", language.pick("État", "State"), "</dt>\n<dd class=\"late\">");
            page.text(language.pick(
                "en retard : plus d'une période s'est écoulée depuis la dernière livraison",
                "late: more than a period has passed since the last delivery",
            ));
            page.raw("</dd>\n");
            None
        }
        Standing::Active => Some(language.pick("à l'heure", "on time").to_owned()),
        Standing::AwaitsApproval => Some(language.pick("en attente d'approbation", "awaiting approval").to_owned()),
        Standing::Suspended { .. } => {
            Some(language.pick("suspendu par la plateforme", "suspended by the platform").to_owned())
        }
        Standing::Ended { on } => {
            Some(language.pick(format!("terminé le {on}").as_str(), format!("ended on {on}").as_str()).to_owned())
        }
        Standing::AuthorisationEnded { on } => Some(
            language
                .pick(format!("autorisation échue le {on}").as_str(), format!("authorisation ended on {on}").as_str())
                .to_owned(),
        ),
    };
    if let Some(state) = state {
        term(page, language.pick("État", "State"), &state);
    }
    term(page, language.pick("Livré jusqu'au", "Delivered until"), &flow.agreement.ends_on.to_string());
    page.raw("</dl>\n");
}

/// Whether there was a delivery, though none may be fetched: those at their precision are closed once their authorisation has ended, or their flow delivers no
/// longer so.
fn was_delivered(shown: &Shown<'_>) -> bool {
    shown.flow.delivered_at.is_some() && shown.deliveries.is_empty()
}

/// The files of the newest version.
pub(super) fn files(page: &mut Html, shown: &Shown<'_>, language: Language) {
    heading(page, language.pick("Fichiers", "Files"));
    let Some(newest) = shown.deliveries.first() else {
        let has_ended = matches!(shown.flow.standing(shown.now), Standing::AuthorisationEnded { .. });
        let none = match (was_delivered(shown), has_ended) {
            (true, true) => language.pick(
                "Ce qui a été livré ne peut plus être récupéré : l'autorisation est échue.",
                "What was delivered may not be fetched any more: the authorisation has ended.",
            ),
            (true, false) => language.pick(
                "Ce qui a été livré ne peut plus être récupéré.",
                "What was delivered may not be fetched any more.",
            ),
            (false, _) => language.pick("Rien n'a encore été livré.", "Nothing has been delivered yet."),
        };
        page.element("<p>", none, "</p>\n");
        return;
    };
    table(
        page,
        language.pick(
            "Dernière version, à une adresse qui ne change pas",
            "Newest version, at an address that does not change",
        ),
        &[
            language.pick("Fichier", "File"),
            language.pick("Taille", "Size"),
            language.pick("Comprimé", "Compressed"),
            "SHA-256",
        ],
    );
    for (extension, file) in plain(&newest.files) {
        page.raw("<tr><th scope=\"row\"><a href=\"/flows/")
            .text(&shown.flow.name)
            .raw("/latest.")
            .text(extension)
            .raw("\">");
        page.text(&shown.flow.name).raw(".").text(extension).raw("</a></th><td class=\"number\">");
        page.text(&size(file.size_bytes, language)).raw("</td><td class=\"number\">");
        let compressed = newest.files.get(&format!("{extension}.gz"));
        page.text(&compressed.map_or("–".to_owned(), |file| size(file.size_bytes, language)));
        page.element("</td><td><code>", &file.sha256, "</code></td></tr>\n");
    }
    page.raw("</tbody></table></div>\n<p><a href=\"/flows/").text(&shown.flow.name).raw("/manifest.json\">");
    page.text(
        language.pick("Manifeste (JSON) : contenu, filtres, empreintes", "Manifest (JSON): contents, filters, digests"),
    )
    .raw("</a></p>\n");
    if newest.files.contains_key("statuts.csv") {
        page.raw("<p><code>").text(&shown.flow.name).raw(".statuts.csv</code> ");
        page.element(
            "",
            language.pick(
                ": protections, listes rouges et réglementations des taxons livrés ; une ligne par statut, à joindre aux données par cd_ref.",
                "holds protections, red lists and regulations of the delivered taxa: a row for each status, to be joined to the records by cd_ref.",
            ),
            "</p>\n",
        );
    }
}

/// Files that are not the compressed one beside another.
fn plain(files: &BTreeMap<String, FileEntry>) -> impl Iterator<Item = (&String, &FileEntry)> {
    files.iter().filter(|(extension, _)| extension.strip_suffix(".gz").is_none_or(|beside| !files.contains_key(beside)))
}

/// How the links are opened.
pub(super) fn access(page: &mut Html, language: Language) {
    heading(page, language.pick("Accès", "Access"));
    page.element(
        "<p>",
        language.pick(
            "Chaque adresse demande le jeton du partenaire : dans un navigateur ou un SIG, donnez n'importe quel nom d'utilisateur et le jeton pour mot de passe ; dans un programme, envoyez l'en-tête Authorization: Bearer suivi du jeton.",
            "Each address asks for the partner's token: in a browser or a GIS, give any user name and the token as password; in a program, send the header Authorization: Bearer followed by the token.",
        ),
        "</p>\n<p><a href=\"/openapi.json\">",
    );
    page.text(language.pick("Description de l'interface (OpenAPI)", "Description of the interface (OpenAPI)"))
        .raw("</a></p>\n");
}

/// What the partner may pass on.
pub(super) fn redistribution(page: &mut Html, shown: &Shown<'_>, language: Language) {
    heading(page, language.pick("Clause de rediffusion", "Redistribution clause"));
    let clause = shown.manifest.and_then(|manifest| manifest.clause.as_ref());
    let clause =
        clause.map(|clause| language.pick(clause.fr.as_str(), clause.en.as_str())).filter(|text| !text.is_empty());
    let usual = language.pick(
        "Une donnée sensible ne doit en aucun cas être rediffusée plus précisément que le niveau indiqué dans la colonne niveau_sensibilite.",
        "A sensitive record must never be redistributed more precisely than the level that the column niveau_sensibilite tells.",
    );
    page.element("<blockquote><p>", clause.unwrap_or(usual), "</p></blockquote>\n");
}

/// Licences, and what is to be cited.
pub(super) fn licences(page: &mut Html, shown: &Shown<'_>, language: Language) {
    heading(page, language.pick("Licences", "Licences"));
    let counted = shown.manifest.map(|manifest| &manifest.licences).filter(|licences| !licences.is_empty());
    if let Some(licences) = counted {
        table(
            page,
            language.pick("Données par licence", "Records by licence"),
            &[language.pick("Licence", "Licence"), language.pick("Données", "Records")],
        );
        for (name, records) in licences {
            page.raw("<tr><th scope=\"row\">");
            licence(page, name);
            page.element("</th><td class=\"number\">", &number(*records, language), "</td></tr>\n");
        }
        page.raw("</tbody></table></div>\n");
    } else {
        page.element("<p>", language.pick("Licences admises :", "Licences allowed:"), "</p>\n<ul>\n");
        for name in &shown.flow.agreement.licences.allowed {
            page.raw("<li>");
            licence(page, name);
            page.raw("</li>\n");
        }
        page.raw("</ul>\n");
    }
    let citations = shown.manifest.map(|manifest| manifest.citations.as_slice()).unwrap_or_default();
    if !citations.is_empty() {
        page.element("<h3>", language.pick("À citer", "To be cited"), "</h3>\n<ul>\n");
        for citation in citations {
            page.element("<li>", citation, "</li>\n");
        }
        page.raw("</ul>\n");
    }
}

/// A licence, with a link to its text in the list of SPDX (<https://spdx.org/licenses/>).
fn licence(page: &mut Html, name: &str) {
    let is_id = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+');
    if name.is_empty() || !name.bytes().all(is_id) {
        page.text(name);
        return;
    }
    page.raw("<a href=\"https://spdx.org/licenses/")
        .text(name)
        .raw(".html\" rel=\"noreferrer\">")
        .text(name)
        .raw("</a>");
}

/// What left how, and what did not.
pub(super) fn withheld(page: &mut Html, shown: &Shown<'_>, language: Language) {
    let Some(manifest) = shown.manifest else { return };
    heading(page, language.pick("Diffusion et données retenues", "What leaves and what is withheld"));
    tallies(
        page,
        language.pick("Données livrées, par niveau de sensibilité", "Records delivered, by sensitivity level"),
        language.pick("Diffusion", "Diffusion"),
        &manifest.delivered,
        language,
        |tally| match (tally.outcome.as_str(), tally.area_type.as_deref()) {
            ("area", Some(area)) => {
                language.pick(format!("floutée ({area})").as_str(), format!("blurred ({area})").as_str()).to_owned()
            }
            ("area", None) => language.pick("floutée", "blurred").to_owned(),
            ("exact", _) => language.pick("précise", "exact").to_owned(),
            (other, _) => other.to_owned(),
        },
    );
    let has_territory = shown.flow.agreement.territory.has_shape();
    if manifest.withheld.iter().all(|tally| tally.records == 0) {
        let none = match has_territory {
            false => language.pick("Aucune donnée n'est retenue.", "No record is withheld."),
            true => language.pick("Aucune donnée n'est comptée comme retenue.", "No record is counted as withheld."),
        };
        page.element("<p>", none, "");
        if has_territory {
            page.element(" ", not_counted(language), "");
        }
        page.raw("</p>\n");
        return;
    }
    tallies(
        page,
        language.pick("Données retenues, et pourquoi", "Records withheld, and why"),
        language.pick("Raison", "Reason"),
        &manifest.withheld,
        language,
        |tally| reason(tally.reason.as_deref().unwrap_or_default(), language).to_owned(),
    );
    if has_territory {
        page.element("<p>", not_counted(language), "</p>\n");
    }
}

/// Within a territory the count alone would place a record whose place may not be told.
fn not_counted(language: Language) -> &'static str {
    language.pick(
        "Les données dont le lieu ne peut être révélé ne sont pas comptées : leur nombre les situerait dans le territoire.",
        "Records whose place may not be told are not counted: their number would place them within the territory.",
    )
}

fn tallies(
    page: &mut Html,
    caption: &'static str,
    fate: &'static str,
    tallies: &[Tally],
    language: Language,
    told: impl Fn(&Tally) -> String,
) {
    table(
        page,
        caption,
        &[language.pick("Niveau de sensibilité", "Sensitivity level"), fate, language.pick("Données", "Records")],
    );
    let mut counts: BTreeMap<(String, String), i64> = BTreeMap::new();
    for tally in tallies {
        let level = tally.level.clone().unwrap_or_else(|| language.pick("aucun", "none").to_owned());
        // Licences are counted elsewhere on the page.
        let count = counts.entry((level, told(tally))).or_default();
        *count = count.saturating_add(tally.records);
    }
    for ((level, fate), records) in counts {
        page.element("<tr><th scope=\"row\">", &level, "</th><td>").element("", &fate, "</td><td class=\"number\">");
        page.element("", &number(records, language), "</td></tr>\n");
    }
    page.raw("</tbody></table></div>\n");
}

/// Every column, explained.
pub(super) fn fields(page: &mut Html, shown: &Shown<'_>, language: Language) {
    heading(page, language.pick("Champs", "Fields"));
    let dialect = shown.flow.agreement.fields.dialect;
    let of_manifest = shown.manifest.map(|manifest| manifest.fields.clone()).filter(|fields| !fields.is_empty());
    let fields = of_manifest.unwrap_or_else(|| {
        let explained = |field: &&'static Field| Explained {
            name: field.name_in(dialect).to_owned(),
            field: field.name.to_owned(),
            fr: field.fr.to_owned(),
            en: field.en.to_owned(),
        };
        shown.flow.agreement.fields().iter().map(explained).collect()
    });
    table(
        page,
        language.pick("Colonnes des fichiers, dans leur ordre", "Columns of the files, in their order"),
        &[
            language.pick("Colonne", "Column"),
            language.pick("Définition", "Definition"),
            language.pick("Valeurs", "Values"),
            language.pick("Champ de l'accord", "Field of the agreement"),
        ],
    );
    for field in &fields {
        let kind = match Field::find(&field.field) {
            Some(known) => values(known.kind, language),
            None if field.field.is_empty() => language.pick("géométrie", "geometry"),
            None => "–",
        };
        page.element("<tr><th scope=\"row\"><code>", &field.name, "</code></th><td>");
        page.text(language.pick(&field.fr, &field.en)).element("</td><td>", kind, "</td>");
        if field.field.is_empty() {
            page.raw("<td>–</td></tr>\n");
        } else {
            page.element("<td><code>", &field.field, "</code></td></tr>\n");
        }
    }
    page.raw("</tbody></table></div>\n");
}

/// The versions that can be fetched.
pub(super) fn versions(page: &mut Html, shown: &Shown<'_>, language: Language) {
    if shown.deliveries.is_empty() {
        return;
    }
    heading(page, language.pick("Versions", "Versions"));
    table(
        page,
        language
            .pick("Versions disponibles, la plus récente d'abord", "Versions that can be fetched, the newest first"),
        &[
            language.pick("Version", "Version"),
            language.pick("Publiée", "Published"),
            language.pick("Données", "Records"),
            language.pick("Fichiers", "Files"),
        ],
    );
    for delivery in shown.deliveries {
        version(page, &shown.flow.name, delivery, language);
    }
    page.raw("</tbody></table></div>\n");
}

fn version(page: &mut Html, flow: &str, delivery: &Delivery, language: Language) {
    page.element("<tr><th scope=\"row\">", &delivery.version, "</th><td>").text(&moment(delivery.finished_at));
    page.element("</td><td class=\"number\">", &number(delivery.rows, language), "</td><td>");
    for (extension, _) in plain(&delivery.files) {
        page.raw("<a href=\"/flows/")
            .text(flow)
            .raw("/")
            .text(&delivery.version)
            .raw("/")
            .text(flow)
            .raw(".")
            .text(extension);
        page.raw("\">").text(flow).raw("-").text(&delivery.version).raw(".").text(extension).raw("</a> ");
    }
    page.raw("<a href=\"/flows/").text(flow).raw("/").text(&delivery.version).raw("/manifest.json\">");
    page.text(language.pick("manifeste ", "manifest ")).text(&delivery.version).raw("</a></td></tr>\n");
}

fn heading(page: &mut Html, text: &str) {
    page.element("<h2>", text, "</h2>\n");
}

fn term(page: &mut Html, term: &str, text: &str) {
    page.element("<dt>", term, "</dt>").element("<dd>", text, "</dd>\n");
}

/// Begins a table that may be scrolled sideways, by keyboard too.
fn table(page: &mut Html, caption: &str, columns: &[&str]) {
    page.raw("<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"").text(caption);
    page.element("\"><table><caption>", caption, "</caption>\n<thead><tr>");
    for column in columns {
        page.element("<th scope=\"col\">", column, "</th>");
    }
    page.raw("</tr></thead>\n<tbody>\n");
}
