"""Sentences an eight-bit graph is compared on: everyday English of many lengths and subjects, written for this."""

from __future__ import annotations

SENTENCES = (
    "What a lovely day.",
    "The train to Lyon leaves at half past six from platform nine.",
    "I have never been so disappointed by a restaurant in my life.",
    "She read the letter twice before she put it back in the drawer.",
    "The battery lasts two days if you switch the radio off at night.",
    "Nobody told us that the museum is closed on Mondays.",
    "An excellent film: funny, sad and beautifully acted.",
    "The plot makes no sense and the songs are worse.",
    "Please send the invoice to our office in Leeds by Friday.",
    "Rain is expected over the western isles until the evening.",
    "He fixed the bicycle with a spoon and a piece of string.",
    "Our flight was cancelled and the airline did not answer the phone.",
    "The new library has a garden on its roof.",
    "Mix the flour with the butter, then add two eggs and a little milk.",
    "It is not bad, but I would not buy it again.",
    "The court decided that the contract was void from the beginning.",
    "My daughter laughed so much that she fell off her chair.",
    "Water boils at a lower temperature on top of a mountain.",
    "The keyboard feels cheap and two keys already stick.",
    "We walked along the river until it was too dark to see the path.",
    "The committee will publish its report in the first week of March.",
    "Terrible service, cold soup and a bill with three mistakes in it.",
    "Whales sing songs that travel for hundreds of kilometres under water.",
    "The teacher explained fractions with slices of an apple.",
    "I would recommend this book to anybody who likes old maps.",
    "The patient was given antibiotics and sent home after two days.",
    "Shares fell by four per cent after the company cut its forecast.",
    "The old bridge was built of oak and stood for three hundred years.",
    "Can you turn the music down? I am trying to sleep.",
    "This phone is the best I have had; the camera is superb.",
    "The goalkeeper saved two penalties in the last ten minutes.",
    "Her grandmother taught her to bake bread without weighing anything.",
    "The update deleted all my photographs and nobody seems to care.",
    "A telescope gathers light; the larger its mirror, the fainter the stars it shows.",
    "They planted four thousand trees along the motorway last autumn.",
    "The software is free, but its documentation is hard to follow.",
    "He apologised at once and brought us another dish.",
    "The senator refused to answer questions about the missing money.",
    "Sailors used to measure speed with a rope and a log.",
    "It arrived broken, smelled of smoke and the box was empty but for a note.",
    "The children built a castle of snow that lasted until April.",
    "The engine starts at once even when it is freezing outside.",
    "Vaccination rates have risen in every region but the south.",
    "The hotel was clean and quiet, and the breakfast was generous.",
    "I waited an hour for a coffee that tasted of soap.",
    "The painter mixed his own colours from earth, soot and egg.",
    "Two suspects were arrested near the harbour on Tuesday night.",
    "The orchestra played the last movement so softly that nobody dared to cough.",
    "Photosynthesis turns light, water and carbon dioxide into sugar and oxygen.",
    "The shoes are comfortable, though the left one squeaks when I walk.",
    "Wheat prices doubled in a year because of the drought.",
    "I love how simple it is: open the lid, press the button, done.",
    "The article claims that the figures were invented.",
    "Come over the hills, my love, and bring me home the rain.",
    "The museum lent three paintings to a gallery in Tokyo.",
    "My refund never came, although I wrote to them five times.",
    "The volcano has been quiet since it destroyed the village in 1783.",
    "A dull evening with a cast that seemed to be reading from cards.",
    "The mechanic found that a mouse had eaten the cables.",
    "Thank you so much, you have made my week!",
    "The satellite circles the earth every ninety minutes and photographs the same strip of land every sixteen days, "
    "so that farmers can see from one month to the next where the soil dries out and where the harvest will be late.",
    "When the shop reopened after the flood the owner found that his neighbours had dried every single book with "
    "hair dryers and put them back on the shelves in the right order, which made him cry.",
    "The second half of the concert was a disaster: the singer forgot her words, the drummer left the stage and the "
    "lights went out, and still the man at the door would not give anybody their money back.",
    "ok",
)

_PLACES = (
    "The village of Harrow lies on the river Ash. Its church was built in 1340 by monks from Dorset, and its market "
    "has been held every Thursday since 1512. In 1861 a railway station was opened; it closed in 1964. Today about "
    "four thousand people live there, and most of them work in the city of Marlow, twelve miles to the east."
)
_SCIENCE = (
    "Marie Curie was born in Warsaw in 1867. She studied physics in Paris, where she met Pierre Curie in 1894. "
    "Together they discovered polonium and radium, and in 1903 they shared the Nobel Prize in Physics with Henri "
    "Becquerel. After the death of her husband she took over his chair at the Sorbonne. In 1911 she received a second "
    "Nobel Prize, in Chemistry. She died in 1934 of an illness caused by radiation."
)
_NATURE = (
    "Honey bees tell each other where food is by dancing. A bee that has found flowers near the hive runs in a small "
    "circle; if they are more than a hundred metres away she waggles her body along a straight line. The angle of the "
    "line to the vertical shows the direction relative to the sun, and the longer she waggles, the farther the food "
    "is. Karl von Frisch described this dance and received a Nobel Prize for it in 1973."
)

PAIRS = (
    ("Who built the church?", _PLACES),
    ("When was the railway station opened?", _PLACES),
    ("On which day is the market held?", _PLACES),
    ("How many people live in Harrow?", _PLACES),
    ("Where do most people work?", _PLACES),
    ("What river does the village lie on?", _PLACES),
    ("When did the station close?", _PLACES),
    ("Where was Marie Curie born?", _SCIENCE),
    ("Who did she meet in 1894?", _SCIENCE),
    ("What did they discover?", _SCIENCE),
    ("When did she receive her second Nobel Prize?", _SCIENCE),
    ("With whom did they share the prize?", _SCIENCE),
    ("What did she study in Paris?", _SCIENCE),
    ("When did she die?", _SCIENCE),
    ("How do honey bees tell each other where food is?", _NATURE),
    ("Who described the dance?", _NATURE),
    ("What does the angle of the line show?", _NATURE),
    ("When did he receive a Nobel Prize?", _NATURE),
    ("What does a bee do when flowers are near the hive?", _NATURE),
    ("How does a bee show that the food is far away?", _NATURE),
)
