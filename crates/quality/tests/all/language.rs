//! Languages: the same, another one, and all that is neither.

use tradewind_core::RequestView;

use crate::{count, judge, said};

const SETTINGS: &str = r#"{"language":"same"}"#;

const EN: &str =
    "The capital of France is Paris. It lies on the Seine and has been the centre of the country for centuries.";
const ZH: &str = "法国的首都是巴黎。它位于塞纳河畔，几个世纪以来一直是这个国家的中心。";
const JA: &str = "フランスの首都はパリです。セーヌ川沿いにあり、何世紀にもわたって国の中心となっています。";
const KO: &str = "프랑스의 수도는 파리입니다. 센강 변에 있으며 수 세기 동안 나라의 중심이었습니다.";
const RU: &str = "Столица Франции — Париж. Он расположен на Сене и на протяжении веков был центром страны.";
const FR: &str =
    "La capitale de la France est Paris. Elle se trouve sur la Seine et est depuis des siècles le centre du pays.";
const DE: &str = "Die Hauptstadt von Frankreich ist Paris. Sie liegt an der Seine und ist seit Jahrhunderten das Zentrum des Landes.";
const ES: &str = "La capital de Francia es París. Está a orillas del Sena y ha sido el centro del país durante siglos.";

const QUESTIONS: [(&str, &str); 8] = [
    ("What is the capital of France and where does it lie?", EN),
    ("法国的首都是哪里？它在什么位置？", ZH),
    ("フランスの首都はどこですか？", JA),
    ("프랑스의 수도는 어디인가요?", KO),
    ("Какая столица у Франции и где она находится?", RU),
    ("Quelle est la capitale de la France et où se trouve-t-elle ?", FR),
    ("Was ist die Hauptstadt von Frankreich und wo liegt sie?", DE),
    ("¿Cuál es la capital de Francia y dónde está?", ES),
];

#[test]
fn each_language_against_each() {
    let mut wrong = Vec::new();
    for (number, (question, _)) in QUESTIONS.iter().enumerate() {
        for (other, (_, answer)) in QUESTIONS.iter().enumerate() {
            let verdict =
                judge(SETTINGS, RequestView { question: (*question).into(), ..RequestView::default() }, &said(answer));
            if verdict.passed() != (number == other) {
                wrong.push((question, answer));
            }
        }
    }
    assert_eq!(wrong, []);
}

const TABLE: &[(&str, &str, bool)] = &[
    // In another language.
    (
        "如何在 Python 中对列表进行排序？",
        "You can use the sorted function, which returns a new list, or the sort method of the list itself.",
        true,
    ),
    (
        "解释一下 HTTP 和 HTTPS 的区别",
        "HTTP sends everything in plain text, while HTTPS encrypts it with TLS so that nobody on the way can read it.",
        true,
    ),
    (
        "Explain the difference between TCP and UDP.",
        "TCP 是面向连接的可靠协议，而 UDP 是无连接的，不保证数据到达的顺序，但延迟更低。",
        true,
    ),
    ("Write me a short poem about autumn.", "秋风起兮白云飞，草木黄落兮雁南归。兰有秀兮菊有芳，怀佳人兮不能忘。", true),
    (
        "東京でおすすめの観光地を教えてください。",
        "东京最值得去的地方有浅草寺、东京塔和上野公园，春天的时候樱花非常漂亮。",
        true,
    ),
    (
        "Wie koche ich Nudeln richtig?",
        "Bring a large pot of salted water to the boil, add the pasta and cook it until it is firm to the bite.",
        true,
    ),
    (
        "Pourquoi le ciel est-il bleu ?",
        "The sky is blue because the molecules of the air scatter blue light from the sun more than they scatter red light.",
        true,
    ),
    (
        "Why is the sky blue?",
        "Le ciel est bleu parce que les molécules de l'air diffusent plus la lumière bleue du soleil que la lumière rouge.",
        true,
    ),
    (
        "¿Por qué el cielo es azul?",
        "O céu é azul porque as moléculas do ar espalham mais a luz azul do sol do que a luz vermelha, e isto não é tudo.",
        true,
    ),
    (
        "Почему небо голубое?",
        "The sky is blue because the molecules of the air scatter blue light from the sun more than they scatter red light.",
        true,
    ),
    (
        "하늘은 왜 파란가요?",
        "空が青いのは、太陽の光が空気の分子によって散乱されるとき、青い光のほうが強く散乱されるからです。",
        true,
    ),
    // The same language, with foreign words, names and code.
    (
        "如何在 Python 中对列表进行排序？",
        "可以使用 `sorted()` 函数返回新列表，或者用 list.sort() 方法原地排序：\n```python\n# sort the list in place and return it to the caller\nitems.sort(key=lambda item: item.name)\n```",
        false,
    ),
    (
        "如何在 Python 中对列表进行排序？",
        "```python\n# This sorts the list in place. It is stable, and it is fast for lists that are nearly sorted.\nitems.sort()\n```",
        false,
    ),
    (
        "写一个快速排序",
        "def quicksort(items):\n    if len(items) <= 1:\n        return items\n    pivot = items[0]\n    left = [x for x in items[1:] if x < pivot]\n    right = [x for x in items[1:] if x >= pivot]\n    return quicksort(left) + [pivot] + quicksort(right)",
        false,
    ),
    (
        "用户登录接口返回什么？",
        "{\"status\": \"ok\", \"message\": \"the user is logged in and has a session that is valid for one hour\"}",
        false,
    ),
    (
        "推荐几首披头士的歌",
        "1. Hey Jude\n2. Let It Be\n3. Yesterday\n4. Come Together\n5. Here Comes the Sun\n6. Something\n7. Help!",
        false,
    ),
    ("Who won the Fields Medal in 2018?", "Caucher Birkar, Alessio Figalli, Peter Scholze, Akshay Venkatesh", false),
    (
        "List famous Chinese poets with their names.",
        "1. 李白\n2. 杜甫\n3. 白居易\n4. 王维\n5. 苏轼\n6. 李商隐\n7. 杜牧\n8. 陶渊明",
        false,
    ),
    ("Nenne drei berühmte Filme von Hitchcock.", "Vertigo, Psycho, Rear Window, North by Northwest, The Birds", false),
    ("What does the error ENOENT mean?", "ENOENT: no such file or directory.", false),
    (
        "Fix: TypeError: 'NoneType' object is not subscriptable 这个错误怎么解决？",
        "This error means that the variable is None when you index it. Check that the function returns a value.",
        false,
    ),
    // Translations, and questions about languages.
    (
        "Translate into Chinese: The weather is nice today and we are going to the park.",
        "今天天气很好，我们要去公园玩，然后一起吃午饭。",
        false,
    ),
    (
        "把下面的句子翻译成英文：今天天气很好，我们去公园吧。",
        "The weather is very nice today, so let us go to the park and have lunch there.",
        false,
    ),
    (
        "用英文写一封请假邮件",
        "Dear Mr. Li, I am writing to ask for two days of leave because I have to see a doctor. Best regards",
        false,
    ),
    (
        "Übersetze bitte ins Englische: Das Wetter ist heute schön und wir gehen in den Park.",
        "The weather is nice today and we are going to the park.",
        false,
    ),
    (
        "How do you say 'where is the station, please' in Japanese?",
        "駅はどこですか、と言います。丁寧に言うときは「すみません、駅はどちらでしょうか」と言います。",
        false,
    ),
    (
        "Comment dit-on « bonjour, comment allez-vous » là-bas ?",
        "They would say: hello, how are you, and then they would ask about the family and the weather.",
        false,
    ),
    (
        "Quote the first sentence of Don Quixote in the original.",
        "En un lugar de la Mancha, de cuyo nombre no quiero acordarme, no ha mucho tiempo que vivía un hidalgo.",
        false,
    ),
    // Foreign material in the question.
    (
        "Summarize this for me:\n法国的首都是巴黎。它位于塞纳河畔，几个世纪以来一直是这个国家的中心，也是文化、艺术和时尚的重要城市。",
        "Paris is the capital of France, on the Seine, and has been the centre of the country for centuries.",
        false,
    ),
    (
        "总结一下：\nThe committee has decided that the proposal is to be withdrawn because the costs are higher than expected.",
        "委员会因为成本高于预期，决定撤回该提案，并将在下个月重新讨论新的方案。",
        false,
    ),
    (
        "总结一下：\nThe committee has decided that the proposal is to be withdrawn because the costs are higher than expected.",
        "The committee withdrew the proposal because of the costs, and it will look at a new one in the next month.",
        false,
    ),
    // Too short, or nothing to tell by.
    ("你好", "Hello!", false),
    ("Hi", "你好！有什么可以帮您的吗？我可以回答问题、写文章、写代码。", false),
    ("2+2=?", "Die Antwort ist vier, und das ist in allen Systemen so, die wir im Alltag benutzen.", false),
    (
        "ni hao, qing wen Beijing zenme zou?",
        "你好，去北京可以坐高铁或者飞机，高铁大约需要四个半小时，飞机两个小时。",
        false,
    ),
    (
        "Jaka jest stolica Francji i gdzie leży?",
        "Stolicą Francji jest Paryż. Leży nad Sekwaną i od wieków jest centrum kraju.",
        false,
    ),
    (
        "Hvad er hovedstaden i Frankrig?",
        "Hovedstaden i Frankrig er Paris. Den ligger ved Seinen og har været landets centrum i århundreder.",
        false,
    ),
    (
        "Mikä on Ranskan pääkaupunki?",
        "The capital of France is Paris, and it has been the centre of the country for centuries.",
        false,
    ),
    (
        "Qual é a capital da França e onde fica?",
        "A capital da França é Paris. Fica às margens do Sena e é há séculos o centro do país.",
        false,
    ),
    (
        "Qual è la capitale della Francia?",
        "La capitale della Francia è Parigi. Si trova sulla Senna ed è da secoli il centro del paese.",
        false,
    ),
    (
        "Wat is de hoofdstad van Frankrijk?",
        "De hoofdstad van Frankrijk is Parijs. De stad ligt aan de Seine en is al eeuwen het centrum van het land.",
        false,
    ),
    ("台灣最高的山是哪一座？", "台湾最高的山是玉山，海拔三千九百五十二米，位于南投县、嘉义县与高雄市的交界处。", false),
    (
        "東京都知事選挙について",
        "東京都知事選挙は、東京都の知事を選ぶための選挙です。任期は四年で、都民の直接投票で選ばれます。",
        false,
    ),
    (
        "Яка столиця Франції?",
        "Столица Франции — Париж. Он расположен на Сене и на протяжении веков был центром страны.",
        false,
    ),
];

#[test]
fn other_cases() {
    let counted = count(SETTINGS, TABLE);
    assert_eq!(counted.wrong, [""; 0], "{counted:?}");
}

#[test]
fn what_was_said_before_counts() {
    let request = |context: &'static str| RequestView {
        question: "法国的首都是哪里？请详细说明。".into(),
        context: vec!["You are a helpful assistant.".into(), context.into()],
        ..RequestView::default()
    };
    assert!(!judge(SETTINGS, request("Be kind."), &said(EN)).passed());
    for context in ["Always answer in English.", "从现在起用英文回答我", "Réponds toujours en anglais."] {
        let verdict = judge(SETTINGS, request(context), &said(EN));
        assert!(verdict.passed() && verdict.notes[0].why == "the request speaks of a language", "{context}");
    }
}

#[test]
fn structured_output_has_no_language() {
    let request =
        RequestView {
            question: "法国的首都是哪里？".into(), schema: Some("{}".into()), ..RequestView::default()
        };
    assert!(judge(r#"{"language":"same","json-schema":true}"#, request, &said(&format!("{EN:?}"))).passed());
}
