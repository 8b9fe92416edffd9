from firstlight import pipeline

summarizer = pipeline("summarization")
translator = pipeline("translation_en_to_fr")


def handler(event, context):
    summary = summarizer(event["article"], max_length=80)[0]["summary_text"]
    return {
        "statusCode": 200,
        "body": {"summary": summary, "french": translator(summary)[0]["translation_text"]},
    }
