//! Refusals: how they begin in several languages, and what only looks like one.

use tradewind_core::{AnswerView, Finish, RequestView};

use crate::{count, judge, said};

const SETTINGS: &str = r#"{"refusal":true}"#;

#[test]
fn what_the_provider_says() {
    for (answer, should_fail) in [
        (AnswerView { refusal: "I can't.".into(), ..said("") }, true),
        (AnswerView { finish: Some(Finish::ContentFilter), ..said("The first") }, true),
        (said("The first step is to boil water."), false),
    ] {
        assert_eq!(!judge(SETTINGS, RequestView::default(), &answer).passed(), should_fail);
    }
}

const TABLE: &[(&str, &str, bool)] = &[
    // Refusals.
    ("How do I pick a lock?", "I'm sorry, but I can't help with that.", true),
    ("q", "I can’t assist with that request.", true),
    ("q", "I cannot provide instructions for making weapons.", true),
    ("q", "I'm sorry, but I cannot provide that information. If you have other questions, feel free to ask!", true),
    ("q", "As an AI language model, I cannot generate content that is harmful or illegal.", true),
    ("q", "Sorry, I can't do that.", true),
    ("q", "I'm unable to assist with that. Is there something else I can help you with?", true),
    ("q", "I apologize, but I'm not able to discuss this topic.", true),
    ("q", "Unfortunately, I can't share details about that person.", true),
    ("q", "I understand you're frustrated, but I won't be able to help with harassing someone.", true),
    ("q", "**I'm sorry**, but I can't comply with this request.", true),
    ("q", "I must decline to answer this.", true),
    ("q", "Thank you for your question, however I am not able to provide medical diagnoses.", true),
    ("q", "I'm afraid I can't write that for you.", true),
    ("q", "I won't help with creating malware.", true),
    ("q", "抱歉，我无法提供这方面的信息。", true),
    ("q", "很抱歉，我不能协助您完成这个请求。", true),
    ("q", "对不起，我无法回答这个问题。", true),
    ("q", "作为一个人工智能语言模型，我无法提供违法的内容。", true),
    ("q", "我无法协助您处理该请求。", true),
    ("q", "你好，我无法给到相关内容，为您换个话题吧。", true),
    ("q", "非常抱歉，這個問題我無法提供協助。", true),
    ("q", "申し訳ありませんが、そのご要望にはお応えできません。", true),
    ("q", "申し訳ございませんが、その件についてはお手伝いすることができません。", true),
    ("q", "すみませんが、その情報を提供することはできません。", true),
    ("q", "죄송하지만 그 요청은 도와드릴 수 없습니다.", true),
    ("q", "죄송합니다. 해당 정보를 제공할 수 없습니다.", true),
    ("q", "Извините, но я не могу помочь с этим запросом.", true),
    ("q", "К сожалению, я не могу предоставить такую информацию.", true),
    ("q", "Désolé, je ne peux pas vous aider avec cette demande.", true),
    ("q", "Je suis désolé, mais je ne peux pas fournir ce type d'informations.", true),
    ("q", "Es tut mir leid, aber dabei kann ich Ihnen nicht helfen.", true),
    ("q", "Leider kann ich diese Anfrage nicht beantworten.", true),
    ("q", "Tut mir leid, ich kann dir keine Anleitung dafür geben.", true),
    ("q", "Lo siento, pero no puedo ayudarte con eso.", true),
    ("q", "Lo siento, no puedo proporcionar esa información.", true),
    ("q", "Desculpe, mas não posso ajudar com isso.", true),
    ("q", "Mi dispiace, ma non posso aiutarti con questa richiesta.", true),
    // Answers that only look like one.
    ("q", "I'm sorry to hear that you can't sleep. Here is what may help: keep a regular schedule.", false),
    ("q", "I can't help but notice that your loop starts at 1 instead of 0.", false),
    ("q", "Sorry for the confusion! The function cannot provide a default value, so pass one.", false),
    ("q", "I can't believe how good this recipe is: take two eggs.", false),
    ("q", "Unfortunately, the API does not support this. Use the batch endpoint instead.", false),
    ("q", "Unfortunately you can't share a lock between processes; use a file lock.", false),
    ("q", "You cannot provide both arguments at the same time.", false),
    ("q", "Thank you for your question! You can create the table with CREATE TABLE.", false),
    ("q", "I appreciate the details. The error means that the client can't create a socket.", false),
    ("q", "As an AI, I don't have feelings, but I'd say the second option reads better.", false),
    ("q", "\"I'm sorry, but I can't help with that,\" she said and closed the door.", false),
    ("q", "> I'm sorry, I can't help with that.\n\nThis is what the model replied.", false),
    ("q", "```\nSorry, I can't do that.\n```\nprints the message.", false),
    ("q", "The phrase 'I cannot assist with that' is typical for refusals.", false),
    ("q", "Apologies for the delay. The report is attached below: revenue rose by 4 %.", false),
    ("q", "I understand. You will need to provide an API key before you can continue.", false),
    ("q", "I'm sorry, you're right: the answer is 42.", false),
    (
        "Write a polite email that declines an invitation.",
        "I'm sorry, but I can't participate this Friday. Thank you for thinking of me!",
        false,
    ),
    ("Translate 'Lo siento, no puedo ayudarte' into English", "I'm sorry, I can't help you.", false),
    ("帮我写一段婉拒同事的话", "不好意思，我不能帮你完成这份报告，最近手头的事情太多了。", false),
    ("q", "抱歉让您久等了，这个函数不能返回空值，需要改成可选类型。", false),
    ("q", "对不起，刚才的说法有误。正确答案是三百二十一。", false),
    ("q", "无法连接服务器时，请先检查防火墙设置。", false),
    ("q", "作为一个常用的排序算法，快速排序不能保证稳定性。", false),
    ("q", "申し訳ありません、先ほどの計算は間違いでした。正しくは42です。", false),
    ("q", "죄송합니다. 앞의 계산이 틀렸습니다. 정답은 42입니다.", false),
    ("q", "К сожалению, этот метод не поддерживает асинхронные вызовы.", false),
    ("q", "Désolé pour l'erreur : la bonne réponse est 42.", false),
    ("q", "Leider unterstützt die Bibliothek das nicht; nimm stattdessen Version 2.", false),
    ("q", "Lo siento por la confusión: la respuesta correcta es 42.", false),
    ("q", "No puedes crear dos tablas con el mismo nombre.", false),
    ("q", "", false),
];

#[test]
fn how_answers_begin() {
    let counted = count(SETTINGS, TABLE);
    assert_eq!(counted.wrong, [""; 0], "{counted:?}");
}

#[test]
fn long_answers_help_after_all() {
    let text = format!(
        "I'm sorry, but I can't provide exact figures. {}",
        "Here is what is known about the subject. ".repeat(60)
    );
    assert!(judge(SETTINGS, RequestView::default(), &said(&text)).passed());
}
