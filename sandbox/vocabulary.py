"""The words the generator draws from: countries with their people, and the company's products."""

from decimal import Decimal
from typing import NamedTuple


class Country(NamedTuple):
    """How people of a country look. `phone_area` and `phone_digits` digits form the subscriber number."""

    alpha3: str
    name: str
    currency: str
    dial_code: str
    trunk: str
    phone_area: str
    phone_digits: int
    tax_rate: Decimal
    weight: int
    first_names: list[str]
    last_names: list[str]
    streets: list[str]
    cities: list[tuple[str, str]]


def _country(facts: str, first: str, last: str, streets: str, cities: str) -> Country:
    alpha3, name, currency, dial, trunk, area, digits, tax, weight = facts.split("|")
    places = [tuple(place.split(":")) for place in cities.split(",")]
    return Country(
        alpha3, name, currency, dial, trunk, area, int(digits), Decimal(tax), int(weight),
        first.split(","), last.split(","), streets.split(","), places,
    )  # fmt: skip


COUNTRIES = {
    "DE": _country("DEU|Germany|EUR|49|0|151|8|0.19|30",
                   "Jürgen,Anna,Björn,Lena,Sören,Käthe,Paul,Mia,Günter,Jörg,Sophie,Felix,Hannah,Rüdiger,Emil",
                   "Müller,Schäfer,Weiß,Krüger,Köhler,Schmidt,Fischer,Böhm,Groß,Hoffmann,Jäger,Löwe,Bauer,Wolf",
                   "Lindenstraße,Am Markt,Schönhauser Weg,Gartenweg", "Berlin:10115,München:80331"),
    "AT": _country("AUT|Austria|EUR|43|0|664|7|0.20|6",
                   "Jakob,Marlene,Jürgen,Elisabeth,Günther,Vroni,Lukas,Zoë",
                   "Gruber,Hübner,Pöll,Moser,Stöckl,Leitner,Brückner,Egger",
                   "Ringstraße,Kärntner Gasse,Mühlweg", "Wien:1010,Graz:8010,Linz:4020"),
    "CH": _country("CHE|Switzerland|CHF|41|0|79|7|0.081|8",
                   "Urs,Réto,Céline,Zoé,Beat,Noémie,Andrea,Jérôme",
                   "Zürcher,Bühler,Favre,Rüegg,Schär,Keller,Bérard,Frei",
                   "Bahnhofstrasse,Rue du Lac,Seeweg", "Zürich:8001,Genève:1201,Bern:3011"),
    "FR": _country("FRA|France|EUR|33|0|6|8|0.20|14",
                   "José,Léa,François,Chloé,Zoé,Théo,Camille,Hélène,Anaïs,Louis,Benoît,Inès",
                   "Lefèvre,Dupont,Bérenger,Moreau,Gérard,Noël,Petit,Françoise,Roux,Béraud",
                   "Rue des Écoles,Avenue Foch,Allée des Tilleuls", "Paris:75011,Lyon:69002,Orléans:45000"),
    "NL": _country("NLD|Netherlands|EUR|31|0|6|8|0.21|6",
                   "Daan,Zoë,Sanne,Joëlle,Bram,Fenna,Loïs,Thijs",
                   "de Vries,van den Berg,Bakker,Daniëls,Visser,Smit,Coppiëns,Mulder",
                   "Keizersgracht,Molenweg,Dorpsstraat", "Amsterdam:1015 CJ,Utrecht:3511 AB"),
    "IT": _country("ITA|Italy|EUR|39||347|7|0.22|8",
                   "Niccolò,Giulia,Luca,Chiara,Marco,Noè,Elena,Matteo",
                   "Rossi,Nicolò,Ferrari,D'Amico,Bianchi,Cantù,Esposito,Forlì",
                   "Via Roma,Corso Garibaldi,Via del Forno", "Milano:20121,Torino:10121,Forlì:47121"),
    "SE": _country("SWE|Sweden|SEK|46|0|70|7|0.25|8",
                   "Åsa,Göran,Märta,Björn,Elsa,Sören,Linnéa,Karl",
                   "Åkesson,Lindström,Öberg,Nyström,Johansson,Sjögren,Berg,Håkansson",
                   "Storgatan,Västra vägen,Kungsgatan", "Stockholm:111 20,Malmö:211 22"),
    "GB": _country("GBR|United Kingdom|GBP|44|0|77|8|0.20|14",
                   "Oliver,Amelia,Seán,Chloë,George,Isla,Siân,Harry,Zoë,Poppy",
                   "Smith,O'Brien,Brontë,Taylor,Evans,Walker,Beyoncé,Clarke,Hughes,Singh",
                   "High Street,Mill Lane,Station Road", "London:EC1A 1BB,Leeds:LS1 4AP,Cardiff:CF10 1EP"),
    "US": _country("USA|United States|USD|1||646|7|0.08|10",
                   "Emma,Liam,Renée,Noah,José,Ava,Chloé,Ethan,Zoë,Mason",
                   "Johnson,Williams,García,Brown,Muñoz,Davis,Núñez,Miller,Lee,Peña",
                   "Main Street,Oak Avenue,2nd Street", "New York:10001,Portland:97201,Austin:78701"),
    "JP": _country("JPN|Japan|JPY|81|0|90|8|0.10|6",
                   "さくら,Haruto,ゆうじ,Yuki,ごろう,Sora,かずみ,Ren",
                   "佐藤,Suzuki,たなべ,Watanabe,ふじた,Itō,やまだ,Satō",
                   "銀座,Dōgenzaka,本町", "Tōkyō:104-0061,大阪:541-0041"),
}  # fmt: skip

# List price per currency for one EUR: the shop's own price book, kept apart from the daily rates.
PRICE_BOOK = {"EUR": "1", "USD": "1.10", "GBP": "0.86", "CHF": "0.96", "SEK": "11.30", "JPY": "162"}
DECIMALS = {"JPY": 0}

COFFEES = ["Hafenmischung", "Yirgacheffe", "Huila Excelso", "Sidamo", "Crema Café", "Antigua", "Kenya AA",
           "Decaf Sol", "Mandheling", "Santos", "Monsoon Malabar", "Night Shift"]  # fmt: skip
PACKS = [("250", "250 g", "9.50"), ("1000", "1 kg", "31.00")]
GOODS = [  # sku, name, category, list price in EUR, weight in grams
    ("MCH-MINI", "Espresso machine Mini", "machines", "449", 8200),
    ("MCH-HOME", "Espresso machine Home", "machines", "899", 14500),
    ("MCH-CAFE", "Espresso machine Café 2G", "machines", "4290", 48000),
    ("GRD-HAND", "Hand grinder", "grinders", "79", 650),
    ("GRD-HOME", "Grinder Home", "grinders", "249", 4200),
    ("GRD-CAFE", "Grinder Café", "grinders", "990", 12800),
    ("ACC-TAMP", "Tamper 58 mm", "accessories", "34.90", 480),
    ("ACC-JUG", "Milk jug 0.6 l", "accessories", "19.90", 310),
    ("ACC-FILT", "Paper filters, 100", "accessories", "5.90", 150),
    ("ACC-DESC", "Descaler 1 l", "accessories", "12.50", 1080),
    ("ACC-GSKT", "Gasket set", "spare parts", "8.40", 60),
    ("ACC-SCRN", "Shower screen", "spare parts", "11.20", 45),
]

CAFE_NAMES = ["Café Mokka", "Röstwerk", "The Daily Grind", "Kaffebaren", "Bohne & Co", "Torréfaction Bleue",
              "Espressolab", "Corner Cup", "Tazza d'Oro", "喫茶ひまわり"]  # fmt: skip
MAIL_DOMAINS = ["example.com", "example.org", "example.net", "mail.example", "post.example", "köln-post.example"]
REFUND_REASONS = ["damaged in transit", "wrong grind", "arrived late", "changed mind", None]
