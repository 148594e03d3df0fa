"""The word lists of the parser, read by ``lexicon.py`` and written by hand from general English (ours).

Entries are separated by blanks. ``_`` joins the words of a phrase, and ``~`` in a phrase stands for up to two words of
any kind. ``/ADJ`` restricts an entry to one part of speech. A final ``!`` marks an emotion that is intense by itself
("furious"), and a final ``?`` marks a cue, which yields to every plainer word ("stern").
"""

EMOTION_WORDS = {
    "angry": """
        anger angry angered mad/ADJ annoyed annoy annoyance irritated irritate irritation irritable irritability
        cross/ADJ crossly fed_up indignant indignation resentful resent resentment offended vexed vex vexation peeved
        miffed irked displeased displeasure dissatisfied dissatisfaction discontent discontented disgruntled impatient
        impatience frustrated frustrate frustration exasperated exasperation grumpy grouchy grouch grumble grumbling
        grudging sulky sulk sullen testy testily tetchy snappish snappy? snap? crabby cranky irate ireful wrath!
        wrathful! ire fury! furious! infuriated! enraged! rage! raging! livid! outrage! outraged! fume! fuming!
        seethe?! seething?! incensed! hatred! hate/VERB hateful hating vengeful! vengeance revenge? hostile hostility
        aggression aggressive aggressively aggrieved? grievance? reproach reproachful reproachfully reproaching scold
        scolding rebuke rebuking chide chiding berate berating accuse? accusing? accusation? accusatory? blame?
        blaming? complain? complaint? complaining? whiny? whining? venomous? venom? vicious? savage? menace? menacing?
        threatening? fierce? fiercely? ferocious! stern? sternly? harsh? harshly? gruff? gruffly? surly bad_tempered
        hot_tempered short_tempered ill_tempered quarrelsome argumentative bitter? bitterly? bitterness defiant?
        defensive? confrontational antagonistic rancour rancor rancorous spite? spiteful? malice? malicious?
        wounded_pride lose_~_temper! lost_~_temper! lose_~_patience losing_~_patience run_out_of_patience
        out_of_patience patience_run_out
        patience_wear_thin unamused? arguing? argue?
        end_of_~_rope end_of_~_tether boil_over boil_with boiling_with grit_~_tooth? gritted_teeth? teeth_gritted?
        feel_wronged feeling_wronged wronged unfairly_treated put_upon? put_out pent_up_anger hot_under_the_collar
        blow_~_top! see_red! seeing_red! up_in_arms tirade! rant rants ranting raving? bossy? merciless? explode?
        explosive? heated? temper? tantrum! ticked_off pissed pissed_off! sick_and_tired curt? brusque? sharp_tone?
        cutting? provoked? ominous? injustice? forgiveness? unforgiving? bicker bickering belligerent combative
        truculent
        blood_~_boil! flies_off_the_handle! fly_off_the_handle! hit_the_roof! steam_~_~_ears!
        piece_of_~_mind bite_~_head_off! lash_out gnash_~_tooth!
    """,
    "happy": """
        happy happily happiness joy joyful joyfully joyous joyously cheerful cheerfully cheerfulness cheery cheer/NOUN
        cheer_up glad gladly gladness delighted delight delightful delightedly pleased pleasure? merry merrily
        merriment mirth jolly jovial gleeful! glee! elated! elation! ecstatic! ecstasy! overjoyed! thrilled! thrill!
        euphoric! euphoria! jubilant! jubilation! exultant! exultation! exhilarated! exhilaration! exuberant!
        exuberance! bliss! blissful! rapture! rapturous! radiant! triumphant! triumph! excited excitement excitedly
        enthusiastic enthusiasm enthusiastically amused amusement? amusedly content/ADJ contented contentment
        contentedly satisfied satisfaction gratified gratification upbeat optimistic optimism hopeful? hopefully?
        playful playfully playfulness lighthearted light_hearted carefree sunny good_humoured good_humored good_humour
        good_humor good_spirits high_spirits happy_spirits cheerful_spirits fine_spirits good_mood great_mood
        pleasant_mood high_spirited spirited? lively? vivacious bubbly fizzing? giddy! gladdened laugh? laughing?
        laughter? chuckle? chuckling? giggle giggling grin? grinning? smile smiling smiley beaming friendly? warm?
        warmly? warmth? affectionate? affectionately? affection? loving? love? lovingly? fond? fondly? fondness?
        tender? tenderness? welcoming? proud? proudly? pride? grateful? gratitude? thankful? celebratory! celebration!
        celebrate! celebrating! enjoy enjoying enjoyment pleasant? pleasantly? sparkling? blessed? buoyant peppy perky
        chipper gay? rejoice! rejoicing! revel? tickled over_the_moon! on_cloud_nine! walk_on_air! tear_of_joy!
        tears_of_joy! cry_with_joy! heart_sings heart_skip_a_beat? flirtatious? infectious? eager? eagerly?
        anticipation? looking_forward looks_forward look_forward animated? zest? zestful delectation hilarity
        hilarious tease? teasing? jokey joking? joke? heartened gush? gushing? good_cheer relieved? relief? in_love?
        flushed_with_success boundless_energy stirred? encouraging? kind/ADJ? kindly? amiable? genial? hearty?
        heartily? good_natured? appreciative? exclaim_with_joy boasting? boastful?
        on_top_of_the_world! in_seventh_heaven! in_stitches! weight_off_~_shoulder? jump_for_joy! ear_to_ear
    """,
    "sad": """
        sad sadly sadness saddened sorrow sorrowful sorrowfully grief grieve grieving grieved mourn mourning mournful
        mournfully melancholy melancholic wistful wistfully wistfulness gloomy gloom gloomily dejected dejection
        dejectedly downcast depressed depression depressing despondent despondency dispirited disheartened discouraged
        disappointed disappointment disappointing let_down unhappy unhappily unhappiness misery! miserable! miserably!
        wretched! wretchedness! heartbroken! heartbreak! heartbreaking! brokenhearted! broken_hearted! heartache!
        aching_heart heavy_heart heavy_hearted devastated! devastation! despair! despairing! despairingly! hopeless!
        hopelessness! hopelessly desolate! desolation! inconsolable! anguish! anguished! agony! agonised? agonized?
        bereft! bereaved! forlorn forlornly lonely loneliness lonesome mirthless lugubrious doleful dolefully
        plaintive plaintively tearful? tearfully? teary? tear? tears? weep weeping weepy sob! sobbing! sobs! cry/VERB?
        crying/VERB? wail! wailing! whimper whimpering keening! regret? regretful? regretfully? remorse remorseful
        rueful ruefully contrite guilt? guilty? apologetic? sorry resigned? resignation? self_pity self_pitying
        pitiful pity? blue/ADJ? feel_blue feeling_blue down/ADJ down_in_the_dumps feel_down feeling_down seem_down
        a_little_down a_bit_down rather_down low_mood mood_low mood_is_low low_spirits low_spirited feel_low
        spirits_low low_in_spirits
        downhearted crestfallen glum glumly morose mopey moping somber? sombre? dismal cheerless joyless crushed?
        shattered? broken? hurt/ADJ? hurt_feelings hurt_pride? wounded? pain? painful? painfully_sad suffer?
        suffering? longing? yearning? nostalgic? nostalgia? homesick bittersweet sympathetic? sympathy? weary?
        wearily? weariness? listless? lifeless? helpless? helplessness? powerless? desperate? desperation? choked_up
        lump_~_throat lump_~_sits_in_the_throat down_hearted woe woeful woefully lament lamenting lamentation
        disconsolate bleak? hollow? numb? pleading? plead? pensive? reflective? close_to_tears near_tears
        verge_of_tears in_tears! not_far_from_tears weighed_down? weigh_down? give_up_hope giving_up_hope
        close_to_giving_up give_up_on tormented? moan? moaning? heartsick dolorous pining despairful upset? drained?
        dreary? subdued? reluctance_to_part deep_reluctance self_blaming? bereavement
        heart_sink heart_sank down_in_the_mouth heart_break! cry_~_eyes_out!
    """,
    "neutral": """
        neutral neutrally neutrality emotionless emotionlessly unemotional unemotionally dispassionate dispassionately
        impassive impassively expressionless deadpan matter_of_fact factual? objective objectively informative
        businesslike business_like indifferent indifference detached detachment unmoved unaffected uninvolved
        apathetic apathy robotic robotically mechanical mechanically toneless? monotone? monotonous? clinical
        flat_affect stoic stoical routine ordinary_manner plain_statement statement_of_fact impersonal impersonally
        unremarkable unexcited wooden? blank blankly unfeeling procedural straightforward? practical/ADJ? formal?
        formally? serious? seriously? solemn? sober? reserved? thoughtful? meticulous? automated
        everyday_conversational conversational? emotionally_even emotionally_flat even_toned nonchalant casual? bland?
        indifferently by_rote like_a_machine relay_information relaying_information pure_information
        giving_little_away give_little_away giving_nothing_away give_nothing_away betray_nothing
        betrays_absolutely_nothing impossible_to_read stating_facts state_facts reading_from_a_page polite? politely?
        courteous? steady_emotion lacking_emotion explain? explaining? explanation?
        bored? boredom? bored_to_death uninterested? disinterested? unenthusiastic?
    """,
    "calm": """
        calm calmly calmness calmed relaxed relax? relaxing composed composure placid placidly serene serenely
        serenity tranquil tranquillity tranquility peaceful peacefully peace inner_peace at_peace at_ease ease/NOUN?
        easygoing easy_going collected? level_headed cool_headed even_tempered unruffled untroubled unbothered
        unworried unhurried? unflustered imperturbable soothing? soothingly? reassuring? restful settled? patient
        patience? mellow? gentle? gently? gentleness? meditative stillness steady? steadily? steadiness? unperturbed
        collectedly equanimity poised? poise? self_possessed self_assured? laid_back quietly_confident? restrained?
        mild/ADJ? mildness? comfortable? comfortably? acceptance? free_of_tension free_from_strain calm_down
        cool_as_a_cucumber cool_calm_and_collected
        calming_down sensible? self_control reasonable?
    """,
    "surprised": """
        surprised surprise surprising? surprisedly astonished! astonishment! astonishedly! amazed! amazement!
        amazedly! astounded! stunned! shocked! shock! startled startle taken_aback caught_off_guard caught_unaware
        caught_unawares caught_by_surprise flabbergasted! dumbfounded! dumbstruck! thunderstruck! gobsmacked!
        speechless! staggered! stupefied! awestruck! awe? awed? wonder? wondering? wonderment wide_eyed? disbelief
        disbelieving incredulous incredulity incredulously unbelieving unbelievable? inconceivable unexpected?
        unexpectedly? not_~_expected not_expected not_expecting nothing_could_have_prepared hard_to_believe
        cannot_believe can_not_believe can_n't_believe difficult_to_believe hardly_able_to_believe blown_away!
        bowled_over! jaw_dropping! bewildered! bewilderment! bemused bemusement puzzled? puzzlement? perplexed?
        perplexity? baffled? bafflement? confused? confusion? curious? curiosity? curiously? inquisitive? intrigued?
        questioning? quizzical? doubtful? doubt? doubting? skeptical? sceptical? dubious? incomprehension? gasp?
        gasping? agape! jolt? jolted did_not_see_~_coming see_~_coming thrown_by dawning_realisation
        dawning_realization unprepared reeling? impressed? raised_eyebrow? eyebrows? double_take mind_blown!
        open_mouthed! pleasant_surprise fascinated? fascination? not_prepared could_not_believe could_n't_believe
        struck_dumb! uncomprehending? strange_doubt? inquiry?
        jaw_drop! jaw_dropped! out_of_the_blue? bolt_from_the_blue
    """,
    "fearful": """
        fear fearful fearfully afraid scared scary? frightened fright frightening? frighten terrified! terror!
        terrifying? terror_stricken! petrified! panic! panicked! panicking! panicky panic_stricken! panics! horror!
        horrified! dread! dreading! dreadful? dreadfully? spooked timid timidly timidity frozen_with? paralysed!
        paralyzed! cowering cower jumpy skittish shaken? alarmed? hysterical? hysteria? threatened? endangered?
        in_danger life_is_in_danger unsafe cornered? frantic? frantically? trepidation
        intimidated daunted scared_stiff! scared_out_of! out_of_~_wits! beg? begging? mortal_terror! heart_in_mouth
        cold_sweat quake quaking flinch? flinching? wary? defenceless? defenseless? trembling_with_fear!
        aghast? nightmarish?
        blood_~_cold! white_as_a_sheet! heart_~_mouth! hair_stand_on_end! shake_like_a_leaf
    """,
    "worried": """
        worried worry worrying worriedly worriment anxious anxiously anxiety anxiousness concerned concern uneasy
        uneasily unease uneasiness nervous nervously nervousness nerves? apprehensive apprehensively apprehension
        troubled distressed! distress! distraught! fretful fret fretting fretfully tense? tension? on_edge edgy
        restless? restlessness? preoccupied? unsettled disquiet disquieted agonising_over careworn foreboding
        forebodings bothered? uncertain? uncertainty? unsure? hesitant? insecure insecurity overwrought! alarm?
        fidgety? stressed stress? strained_nerves weigh_on_~_mind weighing_on jittery perturbed uncomfortable?
        uncomfortably? discomfort? misgiving misgivings
        solicitous urgent? urgency? flustered at_a_loss? ill_at_ease furrowed_brow sick_with_worry! fearing_the_worst
        angst trouble/NOUN? concernedly
        butterfly_in_~_stomach pin_and_needle on_tenterhooks at_~_wit_'s_end wit_end wits_'_end
    """,
    "disgusted": """
        disgusted disgust disgusting disgustedly revolted! revulsion! revolting? repulsed! repulsion! repulsive?
        repelled repugnance! repugnant nauseated! nausea! nauseous queasy queasily sickened! loathing! loathe!
        loathsome abhorrence! abhor! abhorrent distaste distasteful distastefully aversion averse appalled?
        grossed_out gross/ADJ? squeamish put_off off_putting turn_up_~_nose turning_up_their_nose turned_off
        wrinkled_nose retch retching gag? gagging vomit vomiting nasty? foul? vile? yuck unsavoury? unsavory? recoil?
        recoiling? sour? sourly? disapproving? disapproval? disapprovingly? grimace? fastidious? rotten?
        sick_to_the_stomach sickened_to_the_stomach tastes_off offputting repellent moralising? noisome ick icky
        unimpressed? being_sick? sicken
        turn_~_nose_up stomach_turn makes_~_stomach_turn
    """,
    "contemptuous": """
        contempt contemptuous contemptuously scorn scornful scornfully disdain disdainful disdainfully derision
        derisive derisively mocking mockery mock mockingly mocks sneer sneering sneeringly sarcastic sarcasm
        sarcastically sardonic condescending condescension condescendingly patronising patronizing dismissive
        dismissively arrogant arrogance arrogantly haughty haughtily haughtiness supercilious snobbish snobby smug
        smugly smugness superior/ADJ superiority belittle belittling belittled ridicule ridiculing jeer jeering taunt
        taunting scoff scoffing scathing withering? despise despises despising look_down_on looks_down_on
        looking_down_on aloof? judgmental? judgemental? imperious cynical cynicism cynically snide sniffy disparaging
        disparagement disrespect disrespectful cold_and_haughty beneath_notice beneath_contempt mean_spirited ironic?
        ironically? irony? smirk smirking
        overbearing pompous high_handed insult? insulting? pretentious humiliate? cruel? brush_~_aside brushing_off
        brushing_~_aside short_on_respect lecturing_an_inferior viciously_mocking contemptible superciliously
    """,
}

# Words for feeling as such; when one is denied, the speaker is neutral: "no emotion", "devoid of feeling".
FEELING_NOUNS = """
    emotion emotions emotional emotionally feeling feelings sentiment mood expression drama passion involvement
    engagement excitement agitation warmth personal_feeling affect
"""

INTENSITY = {
    "strong": """
        very extremely highly really truly so/ADV such utterly absolutely completely totally entirely thoroughly
        wholly deeply deep profoundly profound intensely intense immensely immense enormously enormous terribly
        terrible awfully dreadfully desperately hugely tremendously tremendous overwhelmingly overwhelming incredibly
        unbelievably exceedingly exceptionally extraordinarily remarkably particularly especially great greatly sheer
        pure purely utter total complete absolute extreme severe severely acute acutely strong strongly wildly wild
        violently violent uncontrollably uncontrollable unbridled boundless endless unrestrained burning raw blind
        blinding bursting brimming overflowing overcome consumed boiling mortal fierce bitterly seriously supremely
        perfectly beyond_measure to_the_core beyond_belief to_the_bone wracked gripped excessively passionately
        furiously frantic crushing unbearable all_consuming full_blown visceral thick_with dripping_with murderously
        devastatingly insanely overly too without_end outright savagely vehemently vehement incomparably
    """,
    "weak": """
        slightly slight somewhat mildly mild faintly faint a_little little a_bit bit a_touch touch hint trace tinge
        tinged note shade_of streak flicker barely_noticeably vaguely vague kind_of sort_of lightly gently subtly
        subtle moderately moderate a_trifle small tad thread_of suggestion_of fleeting only_slightly
        hardly_noticeable barely_perceptible hardly_perceptible scarcely_perceptible barely_noticeable minor passing
        faintest a_shade almost nearly half
    """,
}

# Words that name one value of one kind by themselves.
ATTRIBUTE_WORDS = {
    ("level", "high"): """
        loud loudly louder shout shouting shouted shouts yell yelling yelled yells bellow bellowing roar roaring
        holler hollering boom booming thunderous scream screaming screamed shriek shrieking blare blaring full_volume
        full_voice top_of_~_lungs top_of_~_voice raised_voice voice_raised raise_~_voice raising_~_voice
        voice_~_raised volume_up resounding wail wailing exclaim_loudly voice_is_raised heightened_voice ear_splitting
        deafening boisterous loud_voiced speak_up speaking_up
    """,
    ("level", "low"): """
        quiet quietly quieter hushed soft softly softer whisper whispering whispered murmur murmuring murmured mutter
        muttering muttered mumble mumbling mumbled faint faintly barely_audible hardly_audible scarcely_audible
        barely_above_a_whisper barely_rise_above_a_whisper never_rise_above_a_whisper hardly_above_a_whisper
        under_~_breath subdued_voice muted soft_spoken soft_voiced low_voice voice_low voice_is_low in_a_low_voice
        voice_lowered lowered_voice inaudible undertone_voice keep_~_volume_down keeping_the_volume_down low_volume
        sotto_voce tiny_voice small_voice
    """,
    ("level", "mid"): """
        conversational_volume normal_volume ordinary_volume average_loudness neither_loud_nor_soft
        neither_loud_nor_quiet neither_soft_nor_loud neither_quiet_nor_loud
    """,
    ("pitch", "high"): """
        high_pitched high_voice high_voiced shrill shrilly squeaky squeak squeal squealing piercing piercingly
        falsetto high_tone high_key screech screeching keening yelp yelping tone_high voice_high voice_is_high
        high_note high_cries high_register treble pitched_high high_toned octave_higher
    """,
    ("pitch", "low"): """
        low_pitched deep_voice deep_voiced deep_tone deep_pitched bass baritone growl growling growled guttural
        low_tone tone_low low_register deep_pitch rumbling rumble low_and_deep low_key_voice sonorous deep_intonation
        low_intonation low_pitch pitched_low husky_low tone_is_low octave_lower
    """,
    ("pitch", "mid"): """
        mid_pitched medium_pitched medium_pitch average_pitch middle_register neither_high_nor_low_in_pitch
        mid_range_pitch
    """,
    ("rate", "fast"): """
        fast faster quick quickly quicker quickfire quick_fire rapid rapidly hurried hurriedly hurry hurrying rushed
        rush rushing brisk briskly hasty hastily speedy speedily swift swiftly racing racing_ahead gabble gabbling
        rattled_off rattle_off breakneck mile_a_minute fast_paced quick_paced tumble_out tumbles_out tumble tumbling
        fast_talking galloping accelerate accelerating speed_up speeding_up torrent blurt blurting high_speed
        top_speed at_speed pile_up_rapidly in_a_flurry firing_off rapid_fire race out_in_a_rush spill_out
    """,
    ("rate", "slow"): """
        slow slowly slower slowed drawl drawling drawn_out drawn drag dragging unhurried unhurriedly leisurely
        sluggish sluggishly ponderous ponderously plodding lingering linger slow_paced slow_spoken stretched_out
        stretching measured_pace lethargic lethargically languid languidly long_drawn taking_~_time takes_~_time
        taking_plenty_of_time taking_it_slow lumbering halting_pace trailing deliberate deliberately slow_down
        slowing_down unrushed
    """,
    ("rate", "mid"): """
        moderately_paced even_paced neither_hurried_nor_slow neither_slow_nor_hurried neither_fast_nor_slow
        neither_slow_nor_fast neither_quick_nor_slow conversational_pace medium_paced moderate_pace
    """,
    ("timbre", "trembling"): """
        tremble trembling trembly shaky shake shaking quaver quavering quiver quivering wobble wobbling wobbly waver
        wavering unsteady tremulous shudder shuddering tremor
    """,
    ("timbre", "breathy"): "breathy breathless breathlessly airy aspirated whispery panting out_of_breath",
    ("timbre", "hoarse"): "hoarse hoarsely husky raspy rasp rasping gravelly croaky croak ragged throaty scratchy",
    ("timbre", "rough"): "rough gruff grating harsh harshly growling gritty guttural abrasive coarse",
    ("timbre", "nasal"): "nasal nasally pinched twangy",
    ("timbre", "tearful"): "tearful tearfully sob sobbing choked choking weepy sniffling strangled sniffle wet_voice",
    ("timbre", "cracked"): "crack cracking cracked creaky creak breaking_voice voice_breaks voice_cracks",
    ("timbre", "strained"): "strain strained tight taut constricted tense_voice clenched",
    ("timbre", "thin"): "thin reedy weak_voice frail feeble tinny",
    ("timbre", "flat"): "flat flatly monotone monotonous toneless flat_intonation droning drone",
    ("timbre", "bright"): "bright brightly ringing crisp clear lilting sing_song silvery",
    ("timbre", "warm"): "mellow velvety silky smooth smoothly rich warm_timbre warm_voice rounded honeyed",
    ("timbre", "dark"): "dark_timbre dark_voice sombre_voice hollow_voice hollow",
    ("timbre", "resonant"): "resonant sonorous full_voiced booming",
    ("pause", "many"): """
        pause pauses pausing halting haltingly hesitant hesitantly hesitate hesitating hesitation stammer stammering
        stutter stuttering falter faltering stumbling broken_phrases faltering_speech
    """,
    (
        "pause",
        "few",
    ): "relentless without_pause without_pausing without_a_pause non_stop nonstop breathlessly_on leaving_no_gap",
}

# A scale word takes its kind from the nearest of these nouns in its clause ("high in pitch", "the volume rises").
DIMENSIONS = {
    "level": "volume loudness",
    "pitch": "pitch pitched intonation register key note",
    "rate": "pace paced tempo speed rate pacing",
}
SCALE_WORDS = {
    "high": """
        high higher highest raised raise heightened elevated climb climbing rise rises rising soar soaring lift
        lifting lifted leap leaping upper up strong great increasing increased jump shoot increase highly
    """,
    "low": """
        low lower lowest lowered drop dropping fall falling sink sinking deep deeper reduced decreasing dip dipping
        fade fading lowering decrease bottom little
    """,
    "mid": """
        medium mid middle moderate normal average ordinary usual regular comfortable even steady unvarying middling
        conversational everyday typical standard
    """,
}
