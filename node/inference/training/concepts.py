"""The concepts that the embedded model is taught: which icons, under which names, on which colours.

Is: two tables and the captions made from them, all plain data. Is not: images (see `data`).
The names are English nouns a person would type; the first one is the canonical name, which the
contact sheet and the score use. A concept is keyed by the `short_name` that `emoji.json` gives it.
"""

from __future__ import annotations

from typing import Final

BACKGROUNDS: Final[dict[str, tuple[int, int, int]]] = {
    "white": (255, 255, 255),
    "black": (24, 24, 28),
    "grey": (150, 150, 155),
    "red": (214, 48, 49),
    "orange": (243, 146, 40),
    "yellow": (250, 221, 90),
    "green": (58, 160, 84),
    "blue": (52, 110, 214),
    "purple": (130, 74, 176),
    "pink": (250, 165, 195),
}
"""Colour name -> sRGB. White is also what a caption without any background means."""

DEFAULT_BACKGROUND: Final = "white"

HELD_OUT_PER_CONCEPT: Final = 2
"""Backgrounds per concept that training never shows, to measure whether colour composes."""

_TABLE: Final = """
dog: dog, puppy, dog face | cat: cat, kitten, cat face | fox_face: fox | lion_face: lion | tiger: tiger
wolf: wolf | horse: horse | unicorn_face: unicorn | cow: cow | pig: pig | mouse: mouse
rabbit: rabbit, bunny | bear: bear | polar_bear: polar bear | koala: koala | panda_face: panda
monkey_face: monkey | zebra_face: zebra | giraffe_face: giraffe | elephant: elephant | sheep: sheep
hedgehog: hedgehog | bat: bat | chicken: chicken, hen | rooster: rooster | baby_chick: chick
bird: bird, blue bird | penguin: penguin | eagle: eagle | duck: duck | owl: owl | flamingo: flamingo
parrot: parrot | frog: frog | crocodile: crocodile | turtle: turtle | snake: snake | dragon_face: dragon
t-rex: tyrannosaurus | whale: whale | dolphin: dolphin | fish: fish | shark: shark | octopus: octopus
crab: crab | shrimp: shrimp | snail: snail | butterfly: butterfly | bug: caterpillar | bee: bee, honeybee
ladybug: ladybug | spider: spider | scorpion: scorpion | cherry_blossom: cherry blossom
rose: rose, red rose | sunflower: sunflower | tulip: tulip | seedling: seedling, sprout
evergreen_tree: pine tree | deciduous_tree: tree | palm_tree: palm tree | cactus: cactus
mushroom: mushroom | grapes: grapes | watermelon: watermelon | lemon: lemon | banana: banana
pineapple: pineapple | apple: apple, red apple | green_apple: green apple | pear: pear | peach: peach
cherries: cherries | strawberry: strawberry | tomato: tomato | avocado: avocado
eggplant: eggplant, aubergine | carrot: carrot | corn: corn | hot_pepper: chili pepper | broccoli: broccoli
bread: bread | croissant: croissant | pancakes: pancakes | cheese_wedge: cheese
hamburger: hamburger, burger | fries: french fries, fries | pizza: pizza | hotdog: hot dog
fried_egg: fried egg | popcorn: popcorn | icecream: ice cream | doughnut: donut, doughnut | cookie: cookie
birthday: birthday cake, cake | cupcake: cupcake | candy: candy | lollipop: lollipop
coffee: coffee, cup of coffee | teapot: teapot | wine_glass: wine glass, glass of wine | cocktail: cocktail
beer: beer, beer mug | earth_americas: earth, globe | volcano: volcano | mountain: mountain | house: house
factory: factory | european_castle: castle | tent: tent | ferris_wheel: ferris wheel
steam_locomotive: locomotive, steam train | bus: bus | ambulance: ambulance
fire_engine: fire engine, fire truck | police_car: police car | taxi: taxi | car: car, red car
tractor: tractor | racing_motorcycle: motorcycle | bike: bicycle, bike | rotating_light: siren
vertical_traffic_light: traffic light | octagonal_sign: stop sign | anchor: anchor | boat: sailboat
airplane: airplane, plane | helicopter: helicopter | rocket: rocket | flying_saucer: flying saucer, ufo
watch: watch | alarm_clock: alarm clock, clock | crescent_moon: moon, crescent moon | full_moon: full moon
sunny: sun | ringed_planet: planet, saturn | star: star | stars: shooting star | cloud: cloud
rain_cloud: rain cloud | rainbow: rainbow | umbrella: umbrella | zap: lightning | snowflake: snowflake
snowman_without_snow: snowman | fire: fire, flame | droplet: water drop | jack_o_lantern: pumpkin
christmas_tree: christmas tree | balloon: balloon, red balloon | tada: party popper | gift: gift, present
trophy: trophy | first_place_medal: gold medal | soccer: soccer ball | baseball: baseball
basketball: basketball | football: american football | tennis: tennis ball | kite: kite
crystal_ball: crystal ball | video_game: game controller | game_die: dice | teddy_bear: teddy bear
eyeglasses: glasses | dark_sunglasses: sunglasses | shirt: shirt | dress: dress | school_satchel: backpack
athletic_shoe: shoe, sneaker | crown: crown | tophat: top hat | ring: ring | gem: diamond, gem | bell: bell
musical_note: musical note | headphones: headphones | guitar: guitar | trumpet: trumpet
iphone: phone, mobile phone | computer: laptop | floppy_disk: floppy disk | tv: television | camera: camera
mag: magnifying glass | candle: candle | bulb: light bulb | closed_book: red book, book
green_book: green book | blue_book: blue book | moneybag: money bag | coin: coin | email: envelope, letter
package: box | pencil2: pencil | pushpin: pushpin | scissors: scissors | lock: lock, padlock | key: key
hammer: hammer | bomb: bomb | wrench: wrench | gear: gear | magnet: magnet | telescope: telescope
syringe: syringe | pill: pill | door: door | bed: bed | chair: chair | toilet: toilet | ghost: ghost
alien: alien | robot_face: robot | skull: skull | clown_face: clown | smiley: smiling face, smiley
sunglasses: face with sunglasses | cry: crying face | rage: angry face | heart_eyes: face with heart eyes
heart: heart, red heart | orange_heart: orange heart | yellow_heart: yellow heart | green_heart: green heart
blue_heart: blue heart | purple_heart: purple heart | broken_heart: broken heart
white_check_mark: check mark | x: cross mark | exclamation: exclamation mark | recycle: recycling symbol
red_circle: red circle | large_green_circle: green circle | large_blue_circle: blue circle
large_red_square: red square | large_blue_square: blue square
"""


def concepts() -> dict[str, tuple[str, ...]]:
    """Return every concept: `short_name` -> its names, the canonical one first; order is the table's."""
    found: dict[str, tuple[str, ...]] = {}
    for entry in _TABLE.replace("\n", " | ").split("|"):
        if not entry.strip():
            continue
        short_name, _, names = entry.partition(":")
        found[short_name.strip()] = tuple(name.strip() for name in names.split(","))
    return found


def article(name: str) -> str:
    """Return the indefinite article of an English noun phrase, by its first letter."""
    return "an" if name[0] in "aeiou" and not name.startswith(("uni", "ufo")) else "a"


def captions(name: str, background: str) -> tuple[str, ...]:
    """Return the ways in which training words one icon on one background; the first is canonical."""
    the = article(name)
    ground = article(background)
    worded = (
        f"{the} {name} on {ground} {background} background",
        f"{name}, {background} background",
        f"{name} on {ground} {background} background",
        f"an icon of {the} {name} on {ground} {background} background",
        f"{the} {name} on {background}",
        f"{background} background, {name}",
        f"a picture of {the} {name}, {background} background",
        f"{name} {background}",
        f"a cute {name} on {ground} {background} background, high quality",
        f"a drawing of {the} {name} on {ground} {background} background",
        f"photo of {the} {name}, {background} background, detailed",
    )
    if background != DEFAULT_BACKGROUND:
        return worded
    return (*worded, name, f"{the} {name}", f"an icon of {the} {name}", f"a picture of {the} {name}")


def held_out(concept_index: int) -> frozenset[str]:
    """Return the backgrounds that training never shows with this concept; never the default one.

    Spread evenly over the colours by a fixed rule, so that the split is the same in every run.
    """
    colours = [name for name in BACKGROUNDS if name != DEFAULT_BACKGROUND]
    return frozenset(
        colours[(concept_index * 5 + step * 4) % len(colours)] for step in range(HELD_OUT_PER_CONCEPT)
    )
