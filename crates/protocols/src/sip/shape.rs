//! The shapes of RFC 5491.

use hansho_model::{DegreesE7, LocationFault, LocationShape, MetresU32, Position};
use roxmltree::Node;

use super::decimal::Decimal;
use super::pidf::{Geodetic, Refused, children, text};

/// Most points of a ring that are read.
const RING_COUNT_MAX: usize = 1_024;

const GML: &str = "http://www.opengis.net/gml";
const SHAPES: &str = "http://www.opengis.net/pidflo/1.0";

const METRE: &str = "urn:ogc:def:uom:EPSG::9001";
const DEGREE: &str = "urn:ogc:def:uom:EPSG::9102";
const RADIAN: &str = "urn:ogc:def:uom:EPSG::9101";

/// The first shape of a `location-info`; `None` when it has none.
pub(super) fn find(info: Node<'_, '_>) -> Option<Result<Geodetic, Refused>> {
    let direct = info.children().filter(Node::is_element);
    direct
        .flat_map(|child| {
            // RFC 4119's own example has one more element around the shape.
            let wrapped = child.has_tag_name((GML, "location"));
            let inner = wrapped.then(|| child.children().filter(Node::is_element));
            let outer = (!wrapped).then_some(child);
            outer.into_iter().chain(inner.into_iter().flatten())
        })
        .find_map(|element| Some(read(element, kind(element)?)))
}

fn kind(element: Node<'_, '_>) -> Option<LocationShape> {
    let name = element.tag_name();
    match (name.namespace()?, name.name()) {
        (GML, "Point") => Some(LocationShape::Point),
        (GML, "Polygon") => Some(LocationShape::Polygon),
        (SHAPES, "Circle") => Some(LocationShape::Circle),
        (SHAPES, "Ellipse") => Some(LocationShape::Ellipse),
        (SHAPES, "ArcBand") => Some(LocationShape::ArcBand),
        (SHAPES, "Sphere") => Some(LocationShape::Sphere),
        (SHAPES, "Ellipsoid") => Some(LocationShape::Ellipsoid),
        (SHAPES, "Prism") => Some(LocationShape::Prism),
        _ => None,
    }
}

/// The two permitted systems: latitude and longitude, and the same with a height.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Crs {
    Flat,
    Solid,
}

impl Crs {
    fn of(element: Node<'_, '_>) -> Result<Self, Refused> {
        match element.attribute("srsName").map(str::trim) {
            Some("urn:ogc:def:crs:EPSG::4326") => Ok(Self::Flat),
            Some("urn:ogc:def:crs:EPSG::4979") => Ok(Self::Solid),
            _ => Err(LocationFault::Crs.into()),
        }
    }
}

fn read(element: Node<'_, '_>, shape: LocationShape) -> Result<Geodetic, Refused> {
    let crs = Crs::of(element)?;
    let mut found = Geodetic {
        shape,
        lat: None,
        lon: None,
        alt_m: None,
        radius_m: None,
        semi_major_m: None,
        semi_minor_m: None,
        vertical_m: None,
        orientation_deg: None,
        inner_m: None,
        outer_m: None,
        start_deg: None,
        opening_deg: None,
        ring: Vec::new(),
        height_m: None,
    };
    match shape {
        LocationShape::Polygon => {
            ring(element, crs, &mut found)?;
            return Ok(found);
        }
        LocationShape::Prism => {
            let base = children(element, SHAPES, "base").next();
            let base = base.and_then(|base| children(base, GML, "Polygon").next());
            ring(base.ok_or(LocationFault::Shape)?, crs, &mut found)?;
            found.height_m = Some(length(element, "height")?);
            return Ok(found);
        }
        LocationShape::Point
        | LocationShape::Circle
        | LocationShape::Ellipse
        | LocationShape::ArcBand
        | LocationShape::Sphere
        | LocationShape::Ellipsoid => {}
    }
    position(element, crs, &mut found)?;
    sizes(element, &mut found)?;
    Ok(found)
}

fn sizes(element: Node<'_, '_>, found: &mut Geodetic) -> Result<(), Refused> {
    match found.shape {
        LocationShape::Circle | LocationShape::Sphere => {
            found.radius_m = Some(length(element, "radius")?);
        }
        LocationShape::Ellipse | LocationShape::Ellipsoid => {
            let major = length(element, "semiMajorAxis")?;
            let minor = length(element, "semiMinorAxis")?;
            if found.shape == LocationShape::Ellipsoid {
                found.vertical_m = Some(length(element, "verticalAxis")?);
            }
            found.orientation_deg = Some(angle(element, "orientation")?);
            if minor > major {
                return Err(LocationFault::Shape.into());
            }
            found.semi_major_m = Some(major);
            found.semi_minor_m = Some(minor);
        }
        LocationShape::ArcBand => {
            let inner = length(element, "innerRadius")?;
            let outer = length(element, "outerRadius")?;
            let opening = angle(element, "openingAngle")?;
            found.start_deg = Some(angle(element, "startAngle")?);
            let open = opening > Decimal::ZERO && opening <= Decimal::whole(360);
            if inner >= outer || !open {
                return Err(LocationFault::Shape.into());
            }
            found.inner_m = Some(inner);
            found.outer_m = Some(outer);
            found.opening_deg = Some(opening);
        }
        LocationShape::Point | LocationShape::Polygon | LocationShape::Prism => {}
    }
    Ok(())
}

fn position(element: Node<'_, '_>, crs: Crs, found: &mut Geodetic) -> Result<(), Refused> {
    let node = children(element, GML, "pos").next().ok_or(LocationFault::Shape)?;
    let numbers = numbers(node, 4)?;
    let (lat, lon, alt) = match (numbers.as_slice(), crs) {
        ([lat, lon], Crs::Flat) => (*lat, *lon, None),
        ([lat, lon, alt], _) => (*lat, *lon, Some(*alt)),
        _ => return Err(LocationFault::Number.into()),
    };
    in_range(lat, lon)?;
    found.lat = Some(lat);
    found.lon = Some(lon);
    found.alt_m = alt;
    Ok(())
}

fn in_range(lat: Decimal, lon: Decimal) -> Result<(), Refused> {
    let fits = |lat: Decimal, lon: Decimal| {
        (Decimal::whole(-90)..=Decimal::whole(90)).contains(&lat)
            && (Decimal::whole(-180)..=Decimal::whole(180)).contains(&lon)
    };
    if fits(lat, lon) {
        return Ok(());
    }
    Err(Refused { fault: LocationFault::Range, looks_swapped: fits(lon, lat) })
}

/// Points of a polygon's outer ring: each in its own element, or all in one list.
fn ring(polygon: Node<'_, '_>, crs: Crs, found: &mut Geodetic) -> Result<(), Refused> {
    let exterior = children(polygon, GML, "exterior").next().ok_or(LocationFault::Shape)?;
    let line = children(exterior, GML, "LinearRing").next().ok_or(LocationFault::Shape)?;
    let mut points: Vec<Vec<Decimal>> = Vec::new();
    if let Some(list) = children(line, GML, "posList").next() {
        let flat = numbers(list, RING_COUNT_MAX.saturating_mul(3))?;
        let solid = crs == Crs::Solid || list.attribute("srsDimension") == Some("3");
        let (whole, rest) = if solid {
            let (chunks, rest) = flat.as_chunks::<3>();
            (chunks.iter().map(|chunk| chunk.to_vec()).collect(), rest)
        } else {
            let (chunks, rest) = flat.as_chunks::<2>();
            (chunks.iter().map(|chunk| chunk.to_vec()).collect(), rest)
        };
        if !rest.is_empty() {
            return Err(LocationFault::Number.into());
        }
        points = whole;
    } else {
        for node in children(line, GML, "pos") {
            points.push(numbers(node, 4)?);
        }
    }
    if points.is_empty() {
        return Err(LocationFault::Shape.into());
    }
    if points.len() > RING_COUNT_MAX {
        return Err(LocationFault::Size.into());
    }
    for point in &points {
        let (lat, lon) = match (point.as_slice(), crs) {
            ([lat, lon], Crs::Flat) | ([lat, lon, _], _) => (*lat, *lon),
            _ => return Err(LocationFault::Number.into()),
        };
        in_range(lat, lon)?;
        found.ring.push((lat, lon));
    }
    let closed = found.ring.first() == found.ring.last();
    if found.ring.len() < 4 || !closed {
        return Err(LocationFault::Ring.into());
    }
    Ok(())
}

fn numbers(node: Node<'_, '_>, most: usize) -> Result<Vec<Decimal>, Refused> {
    let text = text(node);
    let mut found = Vec::new();
    for word in text.split_ascii_whitespace() {
        if found.len() >= most {
            return Err(LocationFault::Number.into());
        }
        found.push(Decimal::parse(word)?);
    }
    Ok(found)
}

fn measure<'a>(
    element: Node<'a, 'a>,
    name: &'static str,
) -> Result<(String, Option<&'a str>), Refused> {
    let node = children(element, SHAPES, name).next().ok_or(LocationFault::Shape)?;
    Ok((text(node), node.attribute("uom").map(str::trim)))
}

fn length(element: Node<'_, '_>, name: &'static str) -> Result<Decimal, Refused> {
    let (text, unit) = measure(element, name)?;
    if unit != Some(METRE) {
        return Err(LocationFault::Uom.into());
    }
    let found = Decimal::parse(&text)?;
    if found < Decimal::ZERO {
        return Err(LocationFault::Number.into());
    }
    Ok(found)
}

fn angle(element: Node<'_, '_>, name: &'static str) -> Result<Decimal, Refused> {
    let (text, unit) = measure(element, name)?;
    match unit {
        Some(DEGREE) => Ok(Decimal::parse(&text)?),
        Some(RADIAN) => Ok(Decimal::parse_radians(&text)?),
        _ => Err(LocationFault::Uom.into()),
    }
}

/// Middle of a shape, and the radius of a circle around it that holds the whole shape.
///
/// The middle of an arc is its mast, which stands outside of the area that the arc covers.
pub(super) fn circle(shape: &Geodetic) -> Option<(Position, Option<MetresU32>)> {
    if !shape.ring.is_empty() {
        return ring_circle(&shape.ring);
    }
    let centre = place(shape.lat?, shape.lon?)?;
    let size = match shape.shape {
        LocationShape::Circle | LocationShape::Sphere => shape.radius_m,
        LocationShape::Ellipse | LocationShape::Ellipsoid => shape.semi_major_m,
        LocationShape::ArcBand => shape.outer_m,
        LocationShape::Point | LocationShape::Polygon | LocationShape::Prism => None,
    };
    // A radius of nothing means that nobody knows it.
    let radius = size.filter(|size| *size > Decimal::ZERO).map(radius);
    Some((centre, radius))
}

/// Anything wider than the type is a whole planet.
fn radius(size: Decimal) -> MetresU32 {
    MetresU32(size.ceiling().unwrap_or(u32::MAX))
}

fn place(lat: Decimal, lon: Decimal) -> Option<Position> {
    Position::new(DegreesE7::from_e7(lat.e7()?), DegreesE7::from_e7(lon.e7()?))
}

fn ring_circle(ring: &[(Decimal, Decimal)]) -> Option<(Position, Option<MetresU32>)> {
    let lats = || ring.iter().map(|(lat, _lon)| lat.e9());
    let lons = || ring.iter().map(|(_lat, lon)| lon.e9());
    let middle = |low: i64, high: i64| low.midpoint(high);
    let lat = middle(lats().min()?, lats().max()?);
    let lon = middle(lons().min()?, lons().max()?);
    let widest = lats().map(i64::unsigned_abs).min()?;
    let far = ring.iter().map(|(each_lat, each_lon)| {
        let north = metres_e3(each_lat.e9().abs_diff(lat));
        let east = metres_e3(each_lon.e9().abs_diff(lon));
        let east = east.saturating_mul(cosine_e9(widest)).div_ceil(1_000_000_000);
        let square = north.saturating_mul(north).saturating_add(east.saturating_mul(east));
        square.isqrt().saturating_add(1)
    });
    let metres = far.max()?.div_ceil(1_000);
    let radius = MetresU32(u32::try_from(metres).unwrap_or(u32::MAX));
    Some((place(Decimal::from_e9(lat), Decimal::from_e9(lon))?, Some(radius)))
}

/// Millimetres along a meridian, at its longest: 111.7 km a degree.
fn metres_e3(degrees_e9: u64) -> u128 {
    u128::from(degrees_e9).saturating_mul(111_700_000).div_ceil(1_000_000_000)
}

/// Cosine of an angle of 0 to 90 degrees in units of 1e-9, never too small: the series up to its
/// tenth power, each step rounded up.
fn cosine_e9(degrees_e9: u64) -> u128 {
    const ONE: i128 = 1_000_000_000;
    let radians = i128::from(degrees_e9).saturating_mul(17_453_292).div_euclid(ONE);
    let square = radians.saturating_mul(radians).div_euclid(ONE);
    let mut term = ONE;
    let mut sum = ONE;
    for divisor in [2_i128, 12, 30, 56, 90] {
        term = term.saturating_mul(square).div_euclid(ONE).div_euclid(divisor).saturating_neg();
        sum = sum.saturating_add(term);
    }
    u128::try_from(sum.saturating_add(100)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cosine_is_never_too_small_and_hardly_too_large() {
        for (degrees, wanted) in
            [(0_u64, 1_000_000_000_u128), (37, 798_635_510), (60, 500_000_000), (90, 0)]
        {
            let found = cosine_e9(degrees * 1_000_000_000);
            assert!((wanted..wanted + 2_000).contains(&found), "{degrees}: {found}");
        }
    }

    #[test]
    fn a_circle_holds_the_whole_ring() {
        let point =
            |lat: &str, lon: &str| (Decimal::parse(lat).unwrap(), Decimal::parse(lon).unwrap());
        let ring = [
            point("37.05", "140.88"),
            point("37.05", "140.89"),
            point("37.06", "140.89"),
            point("37.06", "140.88"),
            point("37.05", "140.88"),
        ];
        let (centre, radius) = ring_circle(&ring).unwrap();
        assert_eq!((centre.lat.e7(), centre.lon.e7()), (370_550_000, 1_408_850_000));
        // Half of 1,110 m by 890 m, by the corner.
        let radius = radius.unwrap().0;
        assert!((711..725).contains(&radius), "{radius}");
    }
}
