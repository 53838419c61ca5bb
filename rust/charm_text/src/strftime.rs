//! Python's `datetime.strftime` (C locale, glibc) for a date at midnight.

use std::fmt::Write;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Date {
    pub year: u32,
    pub month: u32,
    pub day: u32,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

impl Date {
    /// From YYYY-MM-DD.
    pub fn parse(text: &str) -> Option<Date> {
        let bytes = text.as_bytes();
        let shaped = bytes.len() == 10
            && bytes.iter().enumerate().all(|(i, b)| if i == 4 || i == 7 { *b == b'-' } else { b.is_ascii_digit() });
        if !shaped {
            return None;
        }
        let date =
            Date { year: text[..4].parse().ok()?, month: text[5..7].parse().ok()?, day: text[8..].parse().ok()? };
        let valid = date.year >= 1 && (1..=12).contains(&date.month) && (1..=date.days_in_month()).contains(&date.day);
        valid.then_some(date)
    }

    fn is_leap_year(self) -> bool {
        self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0)
    }

    fn days_in_month(self) -> u32 {
        match self.month {
            2 => 28 + u32::from(self.is_leap_year()),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    /// 1 to 366.
    fn day_of_year(self) -> u32 {
        (1..self.month).map(|month| Date { month, ..self }.days_in_month()).sum::<u32>() + self.day
    }

    /// 0 is Sunday.
    fn weekday(self) -> u32 {
        let years = self.year - 1;
        (years * 365 + years / 4 - years / 100 + years / 400 + self.day_of_year()) % 7
    }

    /// `None` when the format holds a directive outside the documented set.
    pub fn format(self, format: &str) -> Option<String> {
        let mut out = String::new();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            let mut directive = chars.next()?;
            // glibc: "-" drops the padding.
            let padded = directive != '-';
            if !padded {
                directive = chars.next()?;
            }
            let mut number = |value: u32, width: usize| {
                let width = if padded { width } else { 0 };
                write!(out, "{value:0width$}").expect("writing to a string does not fail");
            };
            let year = self.year;
            match directive {
                'Y' => number(year, 0),
                'y' => number(year % 100, 2),
                'C' => number(year / 100, 2),
                'm' => number(self.month, 2),
                'd' => number(self.day, 2),
                'e' if padded => write!(out, "{:2}", self.day).ok()?,
                'e' => number(self.day, 0),
                'j' => number(self.day_of_year(), 3),
                'H' | 'M' | 'S' => number(0, 2),
                'I' => number(12, 2),
                'f' => number(0, 6),
                'w' => number(self.weekday(), 1),
                'u' => number((self.weekday() + 6) % 7 + 1, 1),
                'U' => number((self.day_of_year() + 6 - self.weekday()) / 7, 2),
                'W' => number((self.day_of_year() + 6 - (self.weekday() + 6) % 7) / 7, 2),
                'B' => out.push_str(MONTHS[self.month as usize - 1]),
                'b' | 'h' => out.push_str(&MONTHS[self.month as usize - 1][..3]),
                'A' => out.push_str(WEEKDAYS[self.weekday() as usize]),
                'a' => out.push_str(&WEEKDAYS[self.weekday() as usize][..3]),
                'p' => out.push_str("AM"),
                'F' => out.push_str(&self.format("%Y-%m-%d")?),
                'D' | 'x' => out.push_str(&self.format("%m/%d/%y")?),
                'T' | 'X' => out.push_str("00:00:00"),
                'R' => out.push_str("00:00"),
                'c' => out.push_str(&self.format("%a %b %e %T %Y")?),
                'z' | 'Z' => {}
                'n' => out.push('\n'),
                't' => out.push('\t'),
                '%' => out.push('%'),
                _ => return None,
            }
        }
        Some(out)
    }
}
