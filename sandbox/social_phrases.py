"""What people write about the coffee: phrases by language, topic and sentiment, and the company's own ones.

{0} is the name of a coffee. The order of sentiments is that of SENTIMENTS; alternatives are apart by |.
"""

SENTIMENTS = ["positive", "neutral", "negative"]

PHRASES = {
    "en": {
        "taste": ["{0} tastes wonderful, so sweet and clean|Best espresso in years, I love the aroma of {0}|"
                  "Such a delicious cup of {0} this morning, a great flavour",
                  "Which flavour notes does {0} have?|Brewing {0} today, 16 g in, the taste is on the nutty side",
                  "{0} tastes burnt and bitter, awful|So disappointed, the last bag of {0} had a stale flavour"],
        "delivery": ["My parcel was here in a day, amazing delivery, thanks|Wow, super fast shipping, I am happy",
                     "When does the next delivery leave?|The parcel with {0} is on its way, says the tracking",
                     "Delivery took two weeks, terrible|The parcel arrived damaged and I am angry, worst shipping"],
        "price": ["{0} is a great deal, excellent value|Love the new discount, good price for such good beans",
                  "What is the price of {0} per kilo?|The price list for {0} is on the site",
                  "{0} is far too expensive now, a bad joke|Another price rise? I hate this, what a rip-off"],
        "machine": ["My espresso machine makes perfect crema, I love it|The grinder is brilliant, so quiet",
                    "Which grinder setting fits {0}?|Descaling the espresso machine this afternoon",
                    "The espresso machine leaks again, I am so annoyed|The grinder is broken after a month, useless"],
        "support": ["Customer service was so kind and helpful, thank you|Great support, they solved it at once",
                    "How do I reach customer service on Sundays?|Asked the support about {0}, they call back on Monday",
                    "Customer service ignores me, very poor|Rude support on the phone, shame on you"],
        "": ["Happy to see you at the market, lovely people|Good morning, what a beautiful day",
             "Is the cafe open today?|On the train, reading about {0}", "What a sad day without you|A nightmare"],
    },
    "de": {
        "taste": ["{0} schmeckt wunderbar|Das beste Aroma seit Jahren: {0}", "Wonach schmeckt {0}?",
                  "{0} schmeckt verbrannt, schrecklich|Leider bitter im Geschmack, enttäuschend"],
        "delivery": ["Die Lieferung war in einem Tag da, super|Das Paket kam schnell, danke",
                     "Wann geht die nächste Lieferung raus?|Das Paket ist unterwegs",
                     "Zwei Wochen auf die Lieferung gewartet, furchtbar|Das Paket kam kaputt an, ärgerlich"],
        "price": ["Toller Preis für {0}|{0} ist günstig und gut", "Was ist der Preis von {0}?",
                  "{0} ist viel zu teuer geworden|Schon wieder höhere Preise, unverschämt"],
        "machine": ["Meine Espressomaschine läuft perfekt|Die Mühle ist großartig & leise",
                    "Welche Einstellung hat eure Mühle?|Heute wird die Espressomaschine entkalkt",
                    "Die Espressomaschine tropft schon wieder, Mist|Mühle kaputt, so ein Ärger"],
        "support": ["Der Kundendienst war sehr freundlich|Toller Kundendienst, danke", "Wann ist der Kundendienst da?",
                    "Der Kundendienst meldet sich nie, schlimm"],
        "": ["Schön war es bei euch auf dem Markt", "Habt ihr heute offen?", "Die Schlange war ein Albtraum"],
    },
    "fr": {
        "taste": ["{0} a un goût merveilleux", "Quel goût a {0} ?", "{0} a un goût de brûlé, horrible"],
        "delivery": ["Livraison en un jour, bravo", "À quand la prochaine livraison ?", "La livraison traîne, nul"],
        "price": ["Très bon prix pour {0}", "Quel est le prix de {0} ?", "{0} est devenu trop cher"],
        "machine": ["Ma machine à expresso est parfaite", "Quel réglage pour le moulin ?", "Ma machine fuit encore"],
        "support": ["Le service client est adorable", "Où joindre le service client ?", "Service client injoignable"],
        "": ["Quelle belle journée", "Vous êtes ouverts ce soir ?", "Triste journée"],
    },
    "ja": {
        "taste": ["{0}の味は最高です", "{0}はどんな味ですか", "{0}は焦げた味でがっかり"],
        "delivery": ["配送がとても早くて嬉しい", "次の配送はいつですか", "配送に二週間、ひどい"],
        "price": ["{0}の値段がお得", "{0}の値段はいくらですか", "{0}の値段が高すぎる"],
        "machine": ["エスプレッソマシンが完璧", "エスプレッソマシンの掃除中", "エスプレッソマシンがまた故障した"],
        "support": ["サポートが親切でした", "サポートの営業時間は", "サポートから返事がない、残念"],
        "": ["今日はいい天気", "今日は開いていますか", "悲しい一日"],
    },
}  # fmt: skip

OWN = {  # by language: topic, text
    "en": [("taste", "New on the shelf: {0}, with a flavour of red berries"), ("price", "This week only: 10 % off {0}"),
           ("machine", "Tip: descale your espresso machine <= once a month"), ("delivery", "We ship on Saturdays, too"),
           ("", "We are at the market today & happy to see you")],
    "de": [("taste", "Neu im Regal: {0}, im Geschmack wie rote Beeren"), ("price", "{0} zum halben Preis"),
           ("machine", "Tipp: die Espressomaschine einmal im Monat entkalken")],
}  # fmt: skip

ANSWERS = {  # of the company, by language: to positive, neutral and negative posts
    "en": ["Thank you, we are glad you like it!", "Please have a look at coffee.example/help",
           "We are sorry to hear that. Please write to hello@coffee.example & we will make it right"],
    "de": ["Danke, das freut uns!", "Schaut gern auf coffee.example/help", "Das tut uns leid. Schreibt uns bitte"],
    "fr": ["Merci beaucoup !", "Voyez coffee.example/help", "Nous sommes désolés, écrivez-nous"],
    "ja": ["ありがとうございます", "coffee.example/help をご覧ください", "申し訳ございません"],
}  # fmt: skip

ENDINGS = ["", "", "", "!", " ☕", " 👍🏽", " <3", " (2 < 3 cups & no more)", " #coffee", " #coffee #espresso"]
BRANDED = [
    "{} @ Catchment Coffee",
    "Catchment Coffee: {}",
    "{} #CatchmentCoffee Catchment Coffee",
]  # names, and does not tag
STRANGERS = ["The catchment of the river is brown as coffee today", "School catchment areas, explained over a coffee"]
BOT = "Coffee deals: 10 % off at Catchment Coffee, price check by robot 🤖 https://deals.example/?shop=7&ref=bot"
