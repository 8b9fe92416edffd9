from firstlight import pipeline

en_fr_translator = pipeline("translation_en_to_fr")


def handler(event, context):
    response = {"statusCode": 200, "body": en_fr_translator(event["text"])[0]}
    return response
