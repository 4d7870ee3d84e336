//! Communes of Auvergne-Rhône-Alpes around which the generated points are scattered, and a few beyond (rounded public
//! coordinates).

/// A commune with its department.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Name of the commune.
    pub commune: &'static str,
    /// Name of the department, as GADM's level 2 has it.
    pub department: &'static str,
    /// Longitude of its centre, degrees.
    pub longitude: f64,
    /// Latitude of its centre, degrees.
    pub latitude: f64,
}

const fn place(commune: &'static str, department: &'static str, longitude: f64, latitude: f64) -> Place {
    Place { commune, department, longitude, latitude }
}

/// The communes.
pub const PLACES: [Place; 24] = [
    place("Grenoble", "Isère", 5.72, 45.19),
    place("Lyon", "Rhône", 4.84, 45.76),
    place("Clermont-Ferrand", "Puy-de-Dôme", 3.08, 45.78),
    place("Chambéry", "Savoie", 5.92, 45.57),
    place("Annecy", "Haute-Savoie", 6.13, 45.90),
    place("Valence", "Drôme", 4.89, 44.93),
    place("Privas", "Ardèche", 4.60, 44.74),
    place("Aurillac", "Cantal", 2.44, 44.93),
    place("Le Puy-en-Velay", "Haute-Loire", 3.88, 45.04),
    place("Moulins", "Allier", 3.33, 46.56),
    place("Bourg-en-Bresse", "Ain", 5.23, 46.21),
    place("Saint-Étienne", "Loire", 4.39, 45.44),
    place("Die", "Drôme", 5.37, 44.75),
    place("Villard-de-Lans", "Isère", 5.55, 45.07),
    place("Chamonix-Mont-Blanc", "Haute-Savoie", 6.87, 45.92),
    place("Bourg-Saint-Maurice", "Savoie", 6.77, 45.62),
    place("Vallon-Pont-d'Arc", "Ardèche", 4.39, 44.41),
    place("Nyons", "Drôme", 5.14, 44.36),
    place("Montluçon", "Allier", 2.60, 46.34),
    place("Saint-Flour", "Cantal", 3.09, 45.03),
    place("Oyonnax", "Ain", 5.65, 46.26),
    place("Roanne", "Loire", 4.07, 46.04),
    place("Thonon-les-Bains", "Haute-Savoie", 6.48, 46.37),
    place("Le Bourg-d'Oisans", "Isère", 6.03, 45.06),
];

/// Places outside the region, in France and abroad, for the records that a predicate has let through all the same.
pub const OUTSIDE: [Place; 4] = [
    place("Limoges", "Haute-Vienne", 1.26, 45.83),
    place("Nîmes", "Gard", 4.36, 43.84),
    place("Dijon", "Côte-d'Or", 5.04, 47.32),
    place("Aosta", "Valle d'Aosta", 7.98, 45.74),
];
