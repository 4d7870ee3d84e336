//! The description of the routes: OpenAPI 3.1 (<https://spec.openapis.org/oas/v3.1.1.html>), made from the table of routes and the types of the
//! documents. `docs/contracts/gateway.openapi.json` is this text; a test compares them.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{
    documents::{Manifest, Versions},
    refusal::Problem,
    routes::{Operation, ROUTES, Route},
};

/// The document, as text.
#[must_use]
pub fn text() -> String {
    // Pretty printing of a value that is there already.
    let mut text = serde_json::to_string_pretty(&document()).unwrap_or_default();
    text.push('\n');
    text
}

/// The document.
#[must_use]
pub fn document() -> Value {
    let mut schemas = SchemaGenerator::new(SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    }));
    let mut refer = Refer(&mut schemas);
    let (versions, manifest, problem) = (refer.to::<Versions>(), refer.to::<Manifest>(), refer.to::<Problem>());
    let documents = |operation| match operation {
        Operation::Versions => versions.clone(),
        Operation::Manifest | Operation::LatestManifest => manifest.clone(),
        Operation::OpenApi => json!({ "type": "object" }),
        Operation::Page => json!({ "type": "string" }),
        Operation::Latest | Operation::File => json!({}),
    };
    let mut paths = Map::new();
    for route in &ROUTES {
        let get = operation(route, "", &documents(route.operation), &problem);
        let mut head = operation(route, "Head", &json!({}), &problem);
        head["summary"] = json!(format!("Headers of: {}", route.summary));
        paths.insert(route.path.to_owned(), json!({ "get": get, "head": head }));
    }
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Passereau gateway",
            "summary": "Flows of biodiversity observations, for the partner with whom each is agreed.",
            "description": "Each flow has tokens of its own. A token that does not open a flow is answered 401, whether there is such a flow or not. \
                            Entity tags are the SHA-256 of the bytes sent. `latest` is one version for the whole of a request; Content-Location tells \
                            which. Only GET and HEAD are answered.",
            "version": "1.0.0",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "bearer": [] }, { "basic": [] }, { "query": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "description": "The token (RFC 6750)." },
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The token as password, with any user name (RFC 7617): for QGIS and other GIS.",
                },
                "query": {
                    "type": "apiKey",
                    "in": "query",
                    "name": "token",
                    "description": "For programs that can send no header. Addresses get into histories: prefer one of the others.",
                },
            },
            "parameters": parameters(),
            "schemas": schemas.take_definitions(true),
        },
    })
}

struct Refer<'g>(&'g mut SchemaGenerator);

impl Refer<'_> {
    fn to<T: JsonSchema>(&mut self) -> Value {
        self.0.subschema_for::<T>().to_value()
    }
}

/// What each name in a path, and each header, means.
fn parameters() -> Value {
    let header = |name: &str, text: &str| json!({ "name": name, "in": "header", "description": text, "schema": { "type": "string" } });
    let path = |name: &str, text: &str, pattern: &str| {
        json!({
            "name": name, "in": "path", "required": true, "description": text,
            "schema": { "type": "string", "pattern": pattern },
        })
    };
    json!({
        "flow": path("flow", "Name of the flow.", "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"),
        "version": path("version", "Name of a version, such as 20261129T020000Z-7f2e6c41.", "^[0-9A-Za-z][0-9A-Za-z._-]*$"),
        "extension": path("extension", "csv, json, geojson, geojsonl, gpkg or statuts.csv, as agreed; with .gz for the compressed file itself.", "^[a-z0-9]+(\\.[a-z0-9]+)*$"),
        "file": path("file", "Name of the flow, a dot, and an extension.", "^[a-z0-9-]+(\\.[a-z0-9]+)+$"),
        "lang": {
            "name": "lang", "in": "query", "description": "Language of the page, instead of Accept-Language.",
            "schema": { "type": "string", "enum": ["fr", "en"] },
        },
        "acceptLanguage": header("Accept-Language", "French or English."),
        "acceptEncoding": header("Accept-Encoding", "With gzip, text files are sent compressed."),
        "ifNoneMatch": header("If-None-Match", "Entity tags that the client has; 304 if one of them is meant."),
        "ifModifiedSince": header("If-Modified-Since", "304 if nothing is newer; without If-None-Match only."),
        "ifMatch": header("If-Match", "Entity tags; 412 if none of them is meant."),
        "range": header("Range", "One range of bytes; several are answered by the whole."),
        "ifRange": header("If-Range", "The range only of this entity tag, else the whole. A date counts for files that have no compressed one beside them."),
    })
}

fn operation(route: &Route, suffix: &str, schema: &Value, problem: &Value) -> Value {
    let mut referred: Vec<&str> = route.parameters().collect();
    referred.extend(["ifNoneMatch", "ifModifiedSince", "ifMatch"]);
    if suffix.is_empty() {
        referred.extend(["range", "ifRange"]);
    }
    let is_file = matches!(route.operation, Operation::Latest | Operation::File);
    if is_file {
        referred.push("acceptEncoding");
    }
    if route.operation == Operation::Page {
        referred.extend(["lang", "acceptLanguage"]);
    }
    let refer = |name: &&str| json!({ "$ref": format!("#/components/parameters/{name}") });
    let mut operation = json!({
        "operationId": format!("{}{suffix}", route.id),
        "summary": route.summary,
        "parameters": referred.iter().map(refer).collect::<Vec<_>>(),
        "responses": responses(route, suffix, is_file, schema, problem),
    });
    if !route.needs_token {
        operation["security"] = json!([]);
    }
    operation
}

fn responses(route: &Route, suffix: &str, is_file: bool, schema: &Value, problem: &Value) -> Value {
    let header = |text: &str| json!({ "description": text, "schema": { "type": "string" } });
    let mut headers = json!({
        "ETag": header("The SHA-256 of the bytes, in quotation marks."),
        "Cache-Control": header("private, no-cache, wherever a token is needed."),
    });
    if is_file {
        headers["Last-Modified"] = header("When the version was published.");
        headers["Content-Location"] = header("Path of this version of the file.");
        headers["Content-Encoding"] = header("gzip, where the compressed file is sent.");
    }
    let mut content = Map::new();
    if suffix.is_empty() {
        let types = route.media_type.map_or_else(file_types, |media_type| vec![media_type]);
        content.extend(types.into_iter().map(|media_type| (media_type.to_owned(), json!({ "schema": schema }))));
    }
    let mut part_headers = headers.clone();
    part_headers["Content-Range"] = header("Which bytes of how many.");
    let mut responses = Map::new();
    let mut add = |status: &str, text: &str| {
        responses.insert(
            status.to_owned(),
            json!({ "description": text, "content": { "application/problem+json": { "schema": problem } } }),
        );
    };
    add("405", "Another method than GET and HEAD.");
    add("412", "A precondition of the request does not hold.");
    if suffix.is_empty() {
        add("416", "There are no such bytes.");
    }
    if route.needs_token {
        add("400", "More than one token.");
        add("401", "No token, or none that opens this flow, whether there is such a flow or not.");
        add("404", "The flow has nothing of this name.");
        add(
            "429",
            "Too many requests of the token, or too many wrong tokens of the address; Retry-After tells when to come back.",
        );
        add("500", "A mistake of the platform.");
        add("503", "Too many downloads, or the database is away; Retry-After tells when to come back.");
    }
    if matches!(route.operation, Operation::File | Operation::Manifest | Operation::Latest) {
        add("410", "The version is not kept any more.");
    }
    if is_file {
        add("406", "Accept-Encoding refuses what there is.");
    }
    responses.insert("200".to_owned(), json!({ "description": route.summary, "headers": headers, "content": content }));
    if suffix.is_empty() {
        responses.insert(
            "206".to_owned(),
            json!({ "description": "A part of it.", "headers": part_headers, "content": content }),
        );
    }
    responses.insert("304".to_owned(), json!({ "description": "The client has it." }));
    responses.into()
}

/// The media types that a file may have.
fn file_types() -> Vec<&'static str> {
    let mut types: Vec<&str> = passereau_formats::Format::ALL.iter().map(|format| format.media_type()).collect();
    types.push(crate::media::type_of("gz"));
    types
}
