//! The phrases by which licences are recognised: words in lower case with one space between them and at both ends.
//!
//! Where a licence is another one with a sentence more, as are many of the short ones, that sentence is what tells them apart.

/// A licence and what only its text has.
pub(super) struct Known {
    /// The SPDX identifier.
    pub name: &'static str,
    /// How many words its text has, about.
    pub words: usize,
    /// One of these lists has to be there whole.
    pub any: &'static [&'static [&'static str]],
    /// None of these may be there.
    pub none: &'static [&'static str],
}

const ADVERTISING: &str = " shall not be used in advertising or otherwise to promote the sale ";
const BEOPEN: &str = " beopen com license agreement ";
const BSD_GRANT: &str =
    " redistribution and use in source and binary forms with or without modification are permitted ";
const BSD_SOURCE: &str = " source code must retain the above copyright ";
const BSD_BINARY: &str = " in binary form must reproduce the above copyright ";
const BSD_NO_ENDORSEMENT: &str = " endorse or promote products derived from this ";
const BSD_ADVERTISING: &str = " all advertising materials mentioning features or use of this software ";
const BSD_CLEAR: &str = " no express or implied licenses to any party s patent rights are granted ";
const CC_ACCEPT: &str = " by exercising the licensed rights ";
const FSL: &str = " functional source license ";
const ISC_GRANT: &str = " distribute this software for any purpose with or without fee is hereby granted ";
const ISC_NOTICE: &str = " provided that the above copyright notice and this permission notice appear in all copies ";
const HIPPOCRATIC: &str = " hippocratic license ";
const JSON_GOOD: &str = " shall be used for good not evil ";
const MIT_GRANT: &str = " without restriction including without limitation the rights to use copy modify merge publish distribute sublicense and or sell copies of the software and to permit persons to whom the software is furnished to do so ";
const MIT_NOTICE: &str = " copyright notice and this permission notice ";
const PSF: &str = " python software foundation license version 2 ";
const SLEEPYCAT: &str = " information on how to obtain complete source code for the ";

/// All that are known, in the order of their names.
pub(super) const KNOWN: &[Known] = &[
    Known { name: "0BSD", words: 100, any: &[&[ISC_GRANT]], none: &[" is hereby granted provided that ", ADVERTISING] },
    Known {
        name: "AGPL-3.0",
        words: 5700,
        any: &[
            &[" remote network interaction use with the gnu general public license "],
            &[" under the terms of the gnu affero general public license "],
        ],
        none: &[" use with the gnu affero general public license ", " affero general public license version 1 "],
    },
    Known {
        name: "Apache-2.0",
        words: 1700,
        any: &[
            &[" apache license ", " patent claims licensable by such contributor that are necessarily infringed "],
            &[" licensed under the apache license version 2 0 "],
        ],
        none: &[FSL, " solderpad "],
    },
    Known { name: "Artistic-2.0", words: 1400, any: &[&[" the artistic license 2 0 "]], none: &[] },
    Known { name: "BlueOak-1.0.0", words: 260, any: &[&[" blue oak model license version 1 0 0 "]], none: &[] },
    Known {
        name: "BSD-2-Clause",
        words: 190,
        any: &[&[BSD_GRANT, BSD_SOURCE, BSD_BINARY]],
        none: &[BSD_NO_ENDORSEMENT, BSD_ADVERTISING, BSD_CLEAR, SLEEPYCAT],
    },
    Known {
        name: "BSD-3-Clause",
        words: 220,
        any: &[&[BSD_GRANT, BSD_SOURCE, BSD_BINARY, BSD_NO_ENDORSEMENT]],
        none: &[BSD_ADVERTISING, BSD_CLEAR, SLEEPYCAT],
    },
    Known {
        name: "BSD-3-Clause-Clear",
        words: 240,
        any: &[&[BSD_SOURCE, BSD_BINARY, BSD_NO_ENDORSEMENT, BSD_CLEAR]],
        none: &[],
    },
    Known {
        name: "BSD-4-Clause",
        words: 240,
        any: &[&[BSD_GRANT, BSD_SOURCE, BSD_BINARY, BSD_NO_ENDORSEMENT, BSD_ADVERTISING]],
        none: &[],
    },
    Known { name: "BSL-1.0", words: 220, any: &[&[" boost software license version 1 0 "]], none: &[] },
    Known { name: "BUSL-1.1", words: 800, any: &[&[" business source license 1 1 "]], none: &[] },
    Known {
        name: "CC-BY-4.0",
        words: 2800,
        any: &[&[" creative commons attribution 4 0 international ", CC_ACCEPT]],
        none: &[],
    },
    Known {
        name: "CC-BY-NC-4.0",
        words: 2900,
        any: &[&[" creative commons attribution noncommercial 4 0 international ", CC_ACCEPT]],
        none: &[],
    },
    Known {
        name: "CC-BY-NC-SA-4.0",
        words: 3100,
        any: &[&[" creative commons attribution noncommercial sharealike 4 0 international ", CC_ACCEPT]],
        none: &[],
    },
    Known {
        name: "CC-BY-SA-4.0",
        words: 3000,
        any: &[&[" creative commons attribution sharealike 4 0 international ", CC_ACCEPT]],
        none: &[],
    },
    Known { name: "CC0-1.0", words: 1200, any: &[&[" cc0 1 0 universal ", " affirmer "]], none: &[] },
    Known {
        name: "CDDL-1.0",
        words: 2800,
        any: &[&[" common development and distribution license ", " version 1 0 ", " covered software means "]],
        none: &[" cddl version 1 1 "],
    },
    Known {
        name: "CDDL-1.1",
        words: 2900,
        any: &[&[" common development and distribution license cddl version 1 1 ", " covered software means "]],
        none: &[],
    },
    Known { name: "curl", words: 160, any: &[&[ISC_GRANT, ISC_NOTICE, ADVERTISING]], none: &[] },
    Known { name: "Elastic-2.0", words: 650, any: &[&[" elastic license 2 0 "]], none: &[] },
    Known {
        name: "EPL-1.0",
        words: 1800,
        any: &[&[" provided under the terms of this eclipse public license "]],
        none: &[" secondary license "],
    },
    Known {
        name: "EPL-2.0",
        words: 2300,
        any: &[&[" provided under the terms of this eclipse public license ", " secondary license "]],
        none: &[],
    },
    Known { name: "EUPL-1.2", words: 2200, any: &[&[" european union public licence ", " v 1 2 "]], none: &[] },
    Known {
        name: "FSL-1.1-ALv2",
        words: 800,
        any: &[&[" functional source license version 1 1 alv2 future license "]],
        none: &[],
    },
    Known {
        name: "FSL-1.1-MIT",
        words: 700,
        any: &[&[" functional source license version 1 1 mit future license "]],
        none: &[],
    },
    Known { name: "GFDL-1.3", words: 3900, any: &[&[" gnu free documentation license version 1 3 "]], none: &[] },
    Known {
        name: "GPL-2.0",
        words: 3200,
        any: &[&[
            " gnu general public license ",
            " sublicense or distribute the program except as expressly provided under this license ",
        ]],
        none: &[" affero general public license version 1 "],
    },
    Known { name: "GPL-3.0", words: 5900, any: &[&[" use with the gnu affero general public license "]], none: &[] },
    Known { name: "ISC", words: 115, any: &[&[ISC_GRANT, ISC_NOTICE]], none: &[ADVERTISING] },
    Known { name: "JSON", words: 180, any: &[&[MIT_GRANT, MIT_NOTICE, JSON_GOOD]], none: &[] },
    Known {
        name: "LGPL-2.0",
        words: 4400,
        any: &[&[" gnu library general public license version 2 june 1991 "]],
        none: &[],
    },
    Known {
        name: "LGPL-2.1",
        words: 4600,
        any: &[&[" gnu lesser general public license version 2 1 february 1999 "]],
        none: &[],
    },
    Known {
        name: "LGPL-3.0",
        words: 1400,
        any: &[&[
            " gnu lesser general public license incorporates the terms and conditions of version 3 of the gnu general public license ",
        ]],
        none: &[],
    },
    Known {
        name: "LicenseRef-Commons-Clause",
        words: 180,
        any: &[&[" commons clause ", " does not grant to you the right to sell the software "]],
        none: &[],
    },
    Known {
        name: "MIT",
        words: 175,
        any: &[&[MIT_GRANT, MIT_NOTICE]],
        none: &[ADVERTISING, JSON_GOOD, FSL, HIPPOCRATIC, " human rights "],
    },
    Known {
        name: "MIT-0",
        words: 145,
        any: &[&[MIT_GRANT, " furnished to do so the software is provided "]],
        none: &[MIT_NOTICE, HIPPOCRATIC],
    },
    Known { name: "MPL-1.1", words: 3900, any: &[&[" subject to the mozilla public license version 1 1 "]], none: &[] },
    Known {
        name: "MPL-2.0",
        words: 2500,
        any: &[
            &[
                " mozilla public license version 2 0 ",
                " creates contributes to the creation of or owns covered software ",
            ],
            &[" subject to the terms of the mozilla public license v 2 0 "],
        ],
        none: &[],
    },
    Known { name: "MulanPSL-2.0", words: 1200, any: &[&[" mulan permissive software license version 2 "]], none: &[] },
    Known {
        name: "NCSA",
        words: 240,
        any: &[&[
            " to deal with the software without restriction ",
            " endorse or promote products derived from this software ",
        ]],
        none: &[],
    },
    Known { name: "OFL-1.1", words: 680, any: &[&[" sil open font license version 1 1 "]], none: &[] },
    Known {
        name: "PolyForm-Noncommercial-1.0.0",
        words: 730,
        any: &[&[" polyform noncommercial license 1 0 0 "]],
        none: &[],
    },
    Known {
        name: "PolyForm-Small-Business-1.0.0",
        words: 730,
        any: &[&[" polyform small business license 1 0 0 "]],
        none: &[],
    },
    Known {
        name: "PostgreSQL",
        words: 200,
        any: &[&[" for any purpose without fee and without a written agreement is hereby granted "]],
        none: &[],
    },
    Known { name: "PSF-2.0", words: 400, any: &[&[PSF]], none: &[BEOPEN] },
    Known { name: "Python-2.0", words: 1700, any: &[&[PSF, BEOPEN]], none: &[] },
    Known { name: "Sleepycat", words: 300, any: &[&[BSD_GRANT, SLEEPYCAT]], none: &[] },
    Known {
        name: "SSPL-1.0",
        words: 4900,
        any: &[&[" server side public license ", " offering the program as a service "]],
        none: &[],
    },
    Known { name: "Unicode-3.0", words: 270, any: &[&[" unicode license v3 "]], none: &[] },
    Known {
        name: "Unlicense",
        words: 210,
        any: &[&[" this is free and unencumbered software released into the public domain "]],
        none: &[],
    },
    Known { name: "UPL-1.0", words: 300, any: &[&[" the universal permissive license upl version 1 0 "]], none: &[] },
    Known {
        name: "WTFPL",
        words: 110,
        any: &[&[" do what the fuck you want to public license version 2 "]],
        none: &[],
    },
    Known { name: "X11", words: 220, any: &[&[MIT_GRANT, MIT_NOTICE, ADVERTISING]], none: &[] },
    Known {
        name: "Zlib",
        words: 140,
        any: &[&[
            " in no event will the authors be held liable for any damages arising from the use of this software ",
            " origin of this software must not be misrepresented ",
        ]],
        none: &[],
    },
];
