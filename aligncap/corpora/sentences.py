"""Sentences of the synthetic corpora: plain ones, and some whose words carry the emotion. Written for this project.

A further language is one more entry; ``plain`` sentences fit every emotion.
"""

from __future__ import annotations

SENTENCES: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "plain": (
            "The keys are on the kitchen table.",
            "She will be back before the shop closes.",
            "There are two letters by the front door.",
            "We take the second train tomorrow morning.",
            "The green jacket belongs to my brother.",
            "He left the window open last night.",
            "They are painting the house next week.",
            "You can put the boxes in the corner.",
            "The meeting has been moved to Thursday.",
            "I saw your neighbour at the station.",
            "There is some bread left in the cupboard.",
            "The children are playing in the yard.",
            "My sister has bought a new bicycle.",
            "It was written on the back of the card.",
            "The bus stops right across the street.",
            "He told me about the plan on the phone.",
            "Somebody has moved the chairs again.",
            "They said it would take about an hour.",
            "The lights in the hall are still on.",
            "I have to speak to the teacher today.",
        ),
        "neutral": (
            "The office is open from nine to five.",
            "The report has twelve pages and two tables.",
            "Turn left at the corner, then go straight on.",
            "The next train to the city leaves from platform four.",
        ),
        "angry": (
            "How many times do I have to tell you?",
            "This is your fault, and you know it!",
            "Get out of my room and leave me alone!",
            "I have had enough of your excuses!",
        ),
        "happy": (
            "We won, we really won the match!",
            "I got the job, isn't that wonderful?",
            "What a lovely day to be together!",
            "She said yes, we are getting married!",
        ),
        "sad": (
            "I miss him every single day.",
            "She is gone, and she will not come back.",
            "Nothing feels right without you here.",
            "We had to say goodbye to our old dog.",
        ),
        "surprised": (
            "You are here already? I had no idea!",
            "Wait, you bought the whole house?",
            "I never thought I would see you again!",
            "What, all of this is for me?",
        ),
        "fearful": (
            "Did you hear that? Somebody is in the house.",
            "Please don't leave me alone in the dark.",
            "He is coming closer, what do we do?",
            "I can't look down, we are too high.",
        ),
        "disgusted": (
            "There is mould all over the bread.",
            "That smell makes me want to be sick.",
            "He spat on the floor right beside me.",
            "I am not going to touch that filthy thing.",
        ),
    },
    "de": {
        "plain": (
            "Die Schlüssel liegen auf dem Küchentisch.",
            "Sie kommt zurück, bevor der Laden schließt.",
            "An der Tür liegen zwei Briefe.",
            "Wir nehmen morgen früh den zweiten Zug.",
            "Die grüne Jacke gehört meinem Bruder.",
            "Er hat gestern das Fenster offen gelassen.",
            "Nächste Woche streichen sie das Haus.",
            "Stell die Kisten bitte in die Ecke.",
            "Die Sitzung ist jetzt am Donnerstag.",
            "Ich habe deinen Nachbarn am Bahnhof gesehen.",
            "Im Schrank ist noch etwas Brot.",
            "Die Kinder spielen im Hof.",
        ),
        "neutral": (
            "Das Büro ist von neun bis fünf geöffnet.",
            "Der Bericht hat zwölf Seiten.",
        ),
        "angry": (
            "Wie oft muss ich dir das noch sagen?",
            "Das ist deine Schuld, und das weißt du!",
        ),
        "happy": (
            "Wir haben gewonnen, wirklich gewonnen!",
            "Ich habe die Stelle bekommen, ist das nicht schön?",
        ),
        "sad": (
            "Ich vermisse ihn jeden Tag.",
            "Sie ist fort und kommt nicht wieder.",
        ),
        "surprised": (
            "Du bist schon da? Das wusste ich nicht!",
            "Was, das ist alles für mich?",
        ),
        "fearful": (
            "Hast du das gehört? Da ist jemand im Haus.",
            "Bitte lass mich nicht allein im Dunkeln.",
        ),
        "disgusted": (
            "Das ganze Brot ist verschimmelt.",
            "Von dem Geruch wird mir übel.",
        ),
    },
    "es": {
        "plain": (
            "Las llaves están en la mesa de la cocina.",
            "Ella vuelve antes de que cierre la tienda.",
            "Hay dos cartas junto a la puerta.",
            "Mañana tomamos el segundo tren.",
            "La chaqueta verde es de mi hermano.",
            "Anoche dejó la ventana abierta.",
            "La semana que viene pintan la casa.",
            "Puedes poner las cajas en la esquina.",
            "La reunión es ahora el jueves.",
            "Vi a tu vecino en la estación.",
            "Queda un poco de pan en el armario.",
            "Los niños juegan en el patio.",
        ),
        "neutral": (
            "La oficina abre de nueve a cinco.",
            "El informe tiene doce páginas.",
        ),
        "angry": (
            "¿Cuántas veces te lo tengo que decir?",
            "¡Es culpa tuya y lo sabes!",
        ),
        "happy": (
            "¡Hemos ganado, de verdad hemos ganado!",
            "¡Me han dado el trabajo, qué alegría!",
        ),
        "sad": (
            "Lo echo de menos todos los días.",
            "Se ha ido y no va a volver.",
        ),
        "surprised": (
            "¿Ya estás aquí? ¡No tenía ni idea!",
            "¿Cómo, todo esto es para mí?",
        ),
        "fearful": (
            "¿Has oído eso? Hay alguien en la casa.",
            "Por favor, no me dejes solo a oscuras.",
        ),
        "disgusted": (
            "Hay moho por todo el pan.",
            "Ese olor me da ganas de vomitar.",
        ),
    },
}
