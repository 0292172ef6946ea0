//! Positions on the earth as points in space, so that a search around one has neither antimeridian nor
//! poles: whatever lies within a distance lies within a chord, and chords compare as whole numbers. The
//! earth is a sphere here, of the mean radius of the reference ellipsoid (IUGG: 6371.0088 km).

use crate::json::Value;
use crate::search::params::SearchParam;
use crate::search::values::{Extracted, IndexValue};

/// Centimetres from the centre of the earth: squares of differences of three coordinates add up to less
/// than 2^63.
const RADIUS_CM: f64 = 637_100_880.0;
/// Kilometres around a position where no distance is given.
const DISTANCE_KM: f64 = 10.0;

/// A point on the sphere, in centimetres from its centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point {
    /// Towards the north pole.
    pub z: i64,
    /// Towards 0 degrees east on the equator.
    pub x: i64,
    /// Towards 90 degrees east on the equator.
    pub y: i64,
}

/// What is asked for: points whose chord to a point is at most so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Around {
    /// The point in the middle.
    pub at: Point,
    /// The longest chord, in centimetres.
    pub chord: i64,
}

impl Point {
    /// Of degrees north and east (WGS 84); `None` outside -90 to 90 and -180 to 180.
    #[must_use]
    pub fn of_degrees(latitude: f64, longitude: f64) -> Option<Self> {
        if !(-90.0..=90.0).contains(&latitude) || !(-180.0..=180.0).contains(&longitude) {
            return None;
        }
        let (north, east) = (latitude.to_radians(), longitude.to_radians());
        let whole = |share: f64| (RADIUS_CM * share).round() as i64;
        Some(Self {
            z: whole(north.sin()),
            x: whole(north.cos() * east.cos()),
            y: whole(north.cos() * east.sin()),
        })
    }
}

impl Around {
    /// Whether a point is no farther.
    #[must_use]
    pub const fn holds(&self, point: Point) -> bool {
        let (z, x, y) = (
            point.z - self.at.z,
            point.x - self.at.x,
            point.y - self.at.y,
        );
        z * z + x * x + y * y <= self.chord * self.chord
    }

    /// Reads `latitude|longitude|distance|units` (FHIR R4, Location, near); distance and units may be left
    /// out. `None` for anything else.
    #[must_use]
    pub(super) fn parse(parts: &[&str]) -> Option<Self> {
        let (latitude, longitude, distance, unit) = match *parts {
            [latitude, longitude] | [latitude, longitude, ""] | [latitude, longitude, "", ""] => {
                (latitude, longitude, DISTANCE_KM, "km")
            }
            [latitude, longitude, distance] | [latitude, longitude, distance, ""] => {
                (latitude, longitude, decimal(distance)?, "km")
            }
            [latitude, longitude, distance, unit] => {
                (latitude, longitude, decimal(distance)?, unit)
            }
            _ => return None,
        };
        let centimetres = match unit {
            "km" => 100_000.0,
            "m" => 100.0,
            "cm" => 1.0,
            "[mi_i]" => 160_934.4,
            "[nmi_i]" => 185_200.0,
            "[yd_i]" => 91.44,
            "[ft_i]" => 30.48,
            _ => return None,
        };
        if distance < 0.0 {
            return None;
        }
        // No way along the sphere is longer than half of it around.
        let half = (distance * centimetres / (2.0 * RADIUS_CM)).min(std::f64::consts::FRAC_PI_2);
        Some(Self {
            at: Point::of_degrees(decimal(latitude)?, decimal(longitude)?)?,
            // Two points are rounded to whole centimetres each.
            chord: (2.0 * RADIUS_CM * half.sin()).ceil() as i64 + 1,
        })
    }
}

/// A decimal as FHIR writes it; no infinity, no name of one.
fn decimal(text: &str) -> Option<f64> {
    let plain =
        |byte: u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
    if text.len() > 40 || !text.bytes().all(plain) {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Adds the position of a Location.
pub(super) fn add_position<'a>(
    params: &[SearchParam],
    resource: Value<'a>,
    into: &mut Extracted<'a>,
) {
    let Some(position) = resource.get("position") else {
        return;
    };
    let Some(near) = params.iter().find(|param| param.code == "near") else {
        return;
    };
    let degrees = |name| {
        position
            .get(name)
            .and_then(Value::number_text)
            .and_then(decimal)
    };
    if let (Some(latitude), Some(longitude)) = (degrees("latitude"), degrees("longitude"))
        && let Some(point) = Point::of_degrees(latitude, longitude)
    {
        into.present.set(near.bit);
        into.values.push((near.id, IndexValue::Position(point)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(around: &str, latitude: f64, longitude: f64) -> bool {
        let parts: Vec<&str> = around.split('|').collect();
        let around = Around::parse(&parts).unwrap();
        around.holds(Point::of_degrees(latitude, longitude).unwrap())
    }

    /// The way along the sphere, by the half-angle formula.
    fn kilometres((a, b): (f64, f64), (c, d): (f64, f64)) -> f64 {
        let (a, b, c, d) = (
            a.to_radians(),
            b.to_radians(),
            c.to_radians(),
            d.to_radians(),
        );
        let half =
            ((c - a) / 2.0).sin().powi(2) + a.cos() * c.cos() * ((d - b) / 2.0).sin().powi(2);
        2.0 * 6371.0088 * half.sqrt().min(1.0).asin()
    }

    #[test]
    fn distances_are_those_along_the_sphere() {
        let places = [
            (51.5074, -0.1278),
            (48.8566, 2.3522),
            (-17.8, 179.99),
            (-17.8, -179.99),
            (89.9999, 10.0),
            (89.9999, -170.0),
            (-90.0, 0.0),
            (0.0, 0.0),
            (0.0, 180.0),
            (0.0, -180.0),
        ];
        for from in places {
            for to in places {
                let way = kilometres(from, to);
                // A metre more, a metre less. Near the other end of the earth chords hardly differ.
                let more = format!("{}|{}|{}|km", from.0, from.1, way + 0.001);
                assert!(holds(&more, to.0, to.1), "{more} {to:?}");
                if way > 0.01 && way < 19_000.0 {
                    let less = format!("{}|{}|{}", from.0, from.1, way - 0.001);
                    assert!(!holds(&less, to.0, to.1), "{less} {to:?}");
                }
            }
        }
        assert!(
            holds("0|0|99999|km", 0.0, 180.0),
            "everything is near enough"
        );
    }

    #[test]
    fn what_is_no_distance_from_a_position_is_refused() {
        for text in [
            "",
            "1",
            "1|",
            "|1",
            "91|0",
            "0|181",
            "nan|0",
            "inf|0",
            "1|2|x",
            "1|2|-1",
            "1|2|3|lb",
            "1|2|3|km|4",
            "1,5|2",
        ] {
            let parts: Vec<&str> = text.split('|').collect();
            assert_eq!(Around::parse(&parts), None, "{text}");
        }
        for text in [
            "1|2",
            "1|2|",
            "1|2||",
            "1|2|3",
            "1|2|3|",
            "1|2|3e1|m",
            "1.50|-2|0",
        ] {
            let parts: Vec<&str> = text.split('|').collect();
            assert!(Around::parse(&parts).is_some(), "{text}");
        }
        assert!(holds("1|2", 1.05, 2.0) && !holds("1|2", 1.1, 2.0), "10 km");
        assert!(holds("10|20|1|[mi_i]", 10.0144, 20.0) && !holds("10|20|1|km", 10.0144, 20.0));
    }
}
