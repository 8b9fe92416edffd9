from firstlight import pipeline

nlp = pipeline("sentiment-analysis")


def handler(event, context):
    response = {"statusCode": 200, "body": nlp(event["text"])[0]}
    return response
