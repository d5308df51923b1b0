//! The words that tell languages in the Latin script apart: the small ones that each sentence has.
//!
//! Chosen by hand from the most frequent words of each language, without those of one or two letters that several of them
//! share and mean nothing by, unless they are frequent enough to count for all of these.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

use super::Languages;

const LISTS: [(Languages, &str); 9] = [
    (
        Languages::ENGLISH,
        "the of and to is are was were be been that this these those it its for with as on at by from an or not but \
         you your we our they their he she his her have has had do does did will would can could should may if when \
         what which who how why where there here than then so because about into over also more most some any all \
         each between through while i my me us them in a no yes just like only other such very up out please",
    ),
    (
        Languages::FRENCH,
        "le la les un une des du de et est sont était être avoir ont que qui quoi dans pour par sur avec sans ce cette \
         ces cet il elle ils elles nous vous je tu on ne pas plus mais ou où donc car au aux en se sa son ses leur leurs \
         votre vos notre nos mon ma mes comme si très bien aussi entre fait faire peut peuvent quel quelle quels quelles \
         comment pourquoi quand c'est l'on qu'il qu'elle d'un d'une j'ai n'est y à été même tout tous toute toutes",
    ),
    (
        Languages::GERMAN,
        "der die das den dem des ein eine einen einem einer eines und oder ist sind war waren sein haben hat hatte nicht \
         auch auf aus bei mit nach von vor zu zum zur für über unter zwischen durch gegen ohne um ich du er sie es wir \
         ihr mein dein sein ihre unsere wie was wer wo wann warum welche welcher welches wenn weil dass daß aber als \
         so noch nur schon mehr sehr kann können wird werden wurde im am in an man sich diese dieser dieses kein keine",
    ),
    (
        Languages::SPANISH,
        "el la los las un una unos unas de del y o que es son era eran ser estar está están fue han ha he en con por para \
         sin sobre entre no se su sus mi tu lo le les me te nos como cómo qué cuál cuáles quién cuándo dónde cuando \
         donde porque pero más muy también si sí ya este esta estos estas ese esa eso esto al hay puede pueden hacer \
         tiene tienen todo todos cada otro otra hasta desde yo él ella ellos usted",
    ),
    (
        Languages::PORTUGUESE,
        "o a os as um uma uns umas de do da dos das e ou que é são era eram ser estar está estão foi em no na nos nas com \
         por para sem sobre entre não se seu sua seus suas meu minha lhe como qual quais quem quando onde porque mas \
         mais muito também já este esta estes estas esse essa isso isto ao aos à às há pode podem fazer tem têm todo \
         todos cada outro outra até desde eu ele ela eles você vocês pelo pela num numa",
    ),
    (
        Languages::ITALIAN,
        "il lo la i gli le un una uno di del della dei delle dello degli e o che è sono era erano essere avere ha hanno in \
         nel nella nei nelle con per su sul sulla tra fra da dal dalla non si suo sua suoi sue mio mia come cosa quale \
         quali chi quando dove perché ma più molto anche se già questo questa questi queste quello quella al alla ai \
         alle c'è può possono fare ogni altro altra io lui lei loro noi voi ci ne",
    ),
    (
        Languages::DUTCH,
        "de het een en of is zijn was waren worden wordt werd heeft hebben had niet ook op uit bij met naar van voor te \
         tot over onder tussen door tegen zonder om ik jij je hij zij ze we wij jullie mijn jouw haar hun onze hoe wat \
         wie waar wanneer waarom welke als omdat dat maar dan nog alleen al meer zeer kan kunnen zal zullen in aan men \
         zich deze dit die geen er",
    ),
    (
        Languages::POLISH,
        "i w na z do że nie się jest są był była było być to jak co kto gdzie kiedy dlaczego czy ale lub oraz dla od po \
         przez przed pod nad o za tym tego ten ta te który która które może można już tylko także jeśli ponieważ więc \
         bardzo ich jego jej mój twój ja ty on ona my wy oni ma mają",
    ),
    (
        Languages::TURKISH,
        "ve bir bu da de için ile ne mi mı mu mü çok daha gibi olan olarak olduğu var yok değil ben sen o biz siz onlar \
         nasıl neden niçin nerede kim hangi ama veya ya ki en her şey kadar sonra önce göre ise",
    ),
];

/// Which languages a word belongs to.
pub(super) fn languages_of(word: &str) -> Languages {
    static WORDS: LazyLock<FxHashMap<&str, Languages>> = LazyLock::new(|| {
        let mut words = FxHashMap::default();
        for (language, list) in LISTS {
            for word in list.split_ascii_whitespace() {
                let known: &mut Languages = words.entry(word).or_default();
                *known = known.with(language);
            }
        }
        words
    });
    WORDS.get(word).copied().unwrap_or_default()
}

/// Words by which a question, or what was said before it, asks for another language or for words as they stand somewhere.
/// Compared in lower case, anywhere in the text.
pub(super) const ASKS_FOR_LANGUAGE: &[&str] = &[
    // to translate, in several languages; to say something in a language
    "translat",
    "traduc",
    "tradui",
    "traduz",
    "tradurre",
    "traduzione",
    "übersetz",
    "vertaal",
    "vertal",
    "przetłumacz",
    "tłumacz",
    "çevir",
    "перевод",
    "перевед",
    "перевест",
    "翻译",
    "翻譯",
    "译成",
    "譯成",
    "翻訳",
    "訳し",
    "和訳",
    "英訳",
    "번역",
    "how do you say",
    "wie sagt man",
    "comment dit-on",
    "comment on dit",
    "cómo se dice",
    "怎么说",
    "怎麼說",
    "как сказать",
    // in the original, as it stands
    "original",
    "verbatim",
    "原文",
    "原句",
    "bilingual",
    "双语",
    "雙語",
    "bilingue",
    "zweisprachig",
    "language",
    "langue",
    "sprache",
    "idioma",
    "lengua",
    "语言",
    "語言",
    "言語",
    "язык",
    "언어",
    // names of languages
    "english",
    "anglais",
    "englisch",
    "inglés",
    "inglese",
    "inglês",
    "engels",
    "английск",
    "英文",
    "英语",
    "英語",
    "영어",
    "french",
    "français",
    "francais",
    "französisch",
    "francés",
    "francese",
    "французск",
    "法语",
    "法語",
    "法文",
    "フランス語",
    "프랑스어",
    "german",
    "allemand",
    "deutsch",
    "alemán",
    "tedesco",
    "немецк",
    "德语",
    "德語",
    "德文",
    "ドイツ語",
    "독일어",
    "spanish",
    "espagnol",
    "spanisch",
    "español",
    "spagnolo",
    "espanhol",
    "испанск",
    "西班牙语",
    "西班牙語",
    "スペイン語",
    "스페인어",
    "chinese",
    "chinois",
    "chinesisch",
    "chino",
    "cinese",
    "китайск",
    "中文",
    "汉语",
    "漢語",
    "中国語",
    "중국어",
    "普通话",
    "japanese",
    "japonais",
    "japanisch",
    "japonés",
    "японск",
    "日语",
    "日語",
    "日文",
    "日本語",
    "일본어",
    "korean",
    "coréen",
    "koreanisch",
    "coreano",
    "корейск",
    "韩语",
    "韓語",
    "韩文",
    "韓国語",
    "한국어",
    "russian",
    "russe",
    "russisch",
    "ruso",
    "русск",
    "俄语",
    "俄語",
    "俄文",
    "ロシア語",
    "러시아어",
    "portugu",
    "italian",
    "italien",
    "итальянск",
    "意大利语",
    "葡萄牙语",
    "latin",
    "拉丁",
    "arabic",
    "arabe",
    "arabisch",
    "арабск",
    "阿拉伯语",
    "turkish",
    "polish",
    "dutch",
    "hindi",
    "vietnam",
    "thai",
];
