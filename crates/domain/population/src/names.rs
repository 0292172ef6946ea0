//! Names for invented people, grouped by heritage so that given and family names go together. No
//! entry stands for a real person.

use crate::random::Draw;

/// Names of one heritage and the language that many of its people also speak (BCP 47).
#[derive(Debug)]
pub(crate) struct Heritage {
    female: &'static [&'static str],
    male: &'static [&'static str],
    family: &'static [&'static str],
    pub(crate) language: &'static str,
}

/// A person's name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Name {
    pub(crate) given: &'static str,
    pub(crate) middle: &'static str,
    pub(crate) family: &'static str,
    pub(crate) language: &'static str,
}

/// Residents of an English care home; the first entry is drawn most often.
pub(crate) const ENGLAND: &[Heritage] = &[
    Heritage {
        female: &[
            "Agnes",
            "Audrey",
            "Beryl",
            "Brenda",
            "Constance",
            "Doreen",
            "Edith",
            "Eileen",
            "Enid",
            "Gladys",
            "Hilda",
            "Iris",
            "Ivy",
            "Joan",
            "Kathleen",
            "Mabel",
            "Marjorie",
            "Mavis",
            "Muriel",
            "Nora",
            "Olive",
            "Peggy",
            "Rita",
            "Sheila",
            "Vera",
            "Winifred",
        ],
        male: &[
            "Albert", "Arthur", "Bernard", "Cecil", "Clifford", "Dennis", "Derek", "Donald",
            "Ernest", "Frank", "George", "Gordon", "Harold", "Herbert", "Kenneth", "Leonard",
            "Norman", "Raymond", "Reginald", "Roy", "Stanley", "Walter",
        ],
        family: &[
            "Ackroyd",
            "Attwater",
            "Birtwistle",
            "Bramley",
            "Brockhurst",
            "Carrow",
            "Catterall",
            "Dunmore",
            "Eastwick",
            "Fairclough",
            "Garside",
            "Hathersage",
            "Heptonstall",
            "Inskip",
            "Kettlewell",
            "Lingard",
            "Marchbank",
            "Netherby",
            "Oldroyd",
            "Penhallow",
            "Quarmby",
            "Ravenscroft",
            "Sowerby",
            "Thistlewood",
            "Underhay",
            "Wainfleet",
            "Yarwood",
        ],
        language: "en-GB",
    },
    Heritage {
        female: &[
            "Amarjit", "Harbans", "Kamala", "Lalita", "Nirmala", "Pushpa", "Surjit", "Zubaida",
        ],
        male: &[
            "Balbir", "Gurdial", "Ibrahim", "Kishan", "Mohinder", "Rashid", "Shanti", "Tarsem",
        ],
        family: &[
            "Bhogal", "Chaudhry", "Dhanda", "Gandhari", "Kalsi", "Mistry", "Panesar", "Sheikh",
        ],
        language: "pa",
    },
    Heritage {
        female: &[
            "Beulah",
            "Clementine",
            "Delphine",
            "Icilda",
            "Merlene",
            "Pearline",
            "Una",
        ],
        male: &[
            "Aston", "Carlton", "Everton", "Fitzroy", "Neville", "Rudolph", "Winston",
        ],
        family: &[
            "Bailey-Reid",
            "Campbell-Hinds",
            "Dacosta",
            "Gayleward",
            "Morrisey",
            "Pinnock",
        ],
        language: "en-GB",
    },
    Heritage {
        female: &[
            "Bronwen", "Carys", "Dilys", "Eirlys", "Gwyneth", "Mair", "Rhiannon",
        ],
        male: &[
            "Aneurin", "Dafydd", "Emrys", "Glyn", "Idris", "Ifor", "Trefor",
        ],
        family: &[
            "Bevanwy",
            "Cadwallon",
            "Gethinfael",
            "Llewelfryn",
            "Pritchfield",
            "Tudorwen",
        ],
        language: "cy",
    },
    Heritage {
        female: &[
            "Bożena", "Halina", "Irena", "Krystyna", "Stefania", "Wanda", "Zofia",
        ],
        male: &[
            "Bolesław",
            "Czesław",
            "Henryk",
            "Kazimierz",
            "Stanisław",
            "Tadeusz",
            "Zygmunt",
        ],
        family: &[
            "Brzozek",
            "Dąbroszak",
            "Jaworczyk",
            "Kowalczak",
            "Łukasin",
            "Sobieraj",
        ],
        language: "pl",
    },
    Heritage {
        female: &["Bríd", "Deirdre", "Nuala", "Orla", "Philomena", "Síle"],
        male: &["Cormac", "Dermot", "Eamonn", "Fergal", "Malachy", "Séamus"],
        family: &[
            "Fitzhenry",
            "MacGarrity",
            "Mulvanney",
            "O'Brannigan",
            "O'Devlane",
            "Quigglin",
        ],
        language: "en-IE",
    },
];

/// Patients of a clinic on a coast where India and the Gulf meet.
pub(crate) const HARBOUR: &[Heritage] = &[
    Heritage {
        female: &[
            "Aishwarya",
            "Ananya",
            "Deepa",
            "Divya",
            "Gauri",
            "Jyoti",
            "Kavita",
            "Lakshmi",
            "Meera",
            "Nandini",
            "Pooja",
            "Radhika",
            "Sarita",
            "Sunita",
            "Tara",
            "Vidya",
        ],
        male: &[
            "Aditya", "Amit", "Arjun", "Devendra", "Ganesh", "Harish", "Karthik", "Mahesh",
            "Nikhil", "Prakash", "Rahul", "Rohan", "Sanjay", "Suresh", "Vikram", "Yash",
        ],
        family: &[
            "Bapatkar",
            "Chitnavis",
            "Deshmane",
            "Gokharey",
            "Inamkar",
            "Joglewar",
            "Kulkarve",
            "Mhatrekar",
            "Naikwad",
            "Pangarkar",
            "Ranadeo",
            "Sawantkar",
            "Talwalekar",
            "Vartakey",
        ],
        language: "hi",
    },
    Heritage {
        female: &[
            "Anjali", "Bindu", "Lekha", "Mini", "Parvathy", "Sreeja", "Usha",
        ],
        male: &["Ajith", "Biju", "Hari", "Manoj", "Rajeev", "Sunil", "Unni"],
        family: &[
            "Chembakath",
            "Kaitharan",
            "Mangalath",
            "Nedumpally",
            "Puthenmana",
            "Vadakkath",
        ],
        language: "ml",
    },
    Heritage {
        female: &[
            "Alamelu",
            "Kavitha",
            "Malar",
            "Revathi",
            "Selvi",
            "Thenmozhi",
        ],
        male: &[
            "Anbu",
            "Kumaran",
            "Murugan",
            "Senthil",
            "Tamilarasan",
            "Velu",
        ],
        family: &[
            "Arunasalem",
            "Elangomani",
            "Kathiravel",
            "Nallathambi",
            "Ponnurangam",
        ],
        language: "ta",
    },
    Heritage {
        female: &[
            "Aaliya", "Fatima", "Hessa", "Mariam", "Noora", "Salma", "Zahra",
        ],
        male: &[
            "Abdulla", "Faisal", "Hamad", "Khalid", "Omar", "Saeed", "Yousef",
        ],
        family: &[
            "Al Bahriya",
            "Al Dhafrani",
            "Al Marzin",
            "Al Qasimani",
            "Al Suwaidan",
            "Bin Rashoud",
        ],
        language: "ar",
    },
    Heritage {
        female: &[
            "Ferzana", "Nilofer", "Rukhsana", "Shabana", "Tabassum", "Yasmin",
        ],
        male: &["Asif", "Imran", "Javed", "Nadeem", "Salim", "Tariq"],
        family: &[
            "Ansarwala",
            "Bohrani",
            "Kazimbhai",
            "Lokhandali",
            "Merchantwala",
            "Shaikhani",
        ],
        language: "ur",
    },
    Heritage {
        female: &[
            "Carmela",
            "Divina",
            "Filipa",
            "Lourdes",
            "Maricel",
            "Rosalinda",
        ],
        male: &[
            "Agustin",
            "Benedicto",
            "Crispin",
            "Dominador",
            "Florante",
            "Rogelio",
        ],
        family: &[
            "Bacalsong",
            "Cabrerano",
            "Dimaguiba",
            "Fernandes-Pinto",
            "Lacambra",
            "Salcedino",
        ],
        language: "fil",
    },
];

/// Draws a name; the first heritage in half of the draws, the others evenly.
pub(crate) fn draw(draw: &mut Draw, heritages: &[Heritage], female: bool) -> Name {
    let heritage = if draw.chance(50) {
        heritages.first()
    } else {
        draw.pick(heritages)
    };
    let (given, family, language) = heritage.map_or((&[][..], &[][..], "en"), |h| {
        (if female { h.female } else { h.male }, h.family, h.language)
    });
    let first = draw.word(given);
    let second = draw.word(given);
    Name {
        given: first,
        middle: if first == second || draw.chance(55) {
            ""
        } else {
            second
        },
        family: draw.word(family),
        language,
    }
}
