"""Frequent words of languages in Latin letters, to tell languages apart that the chats hardly hold.

Written for this project. Rows of such words in random order stand in for text: byte n-grams ask for no grammar.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

FREQUENT_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cs": "a je v se na to že s z do o k i za by ale jak jsem co si tak jako pro po už když být mít jsou jeho "
        "její které který protože nebo můžeš můžete prosím potřebuji chci jaký jaká kde kdy proč napiš "
        "vysvětli dobrý den děkuji kolik člověk práce dům život svět také velmi více nějaký udělat vědět",
        "da": "og i at det er en til på som de med han af for ikke der var mig sig men et har om vi min havde ham "
        "hun nu over da fra du ud sin dem os op man hans hvor eller hvad skal selv her alle vil blev kunne "
        "ind når være hvordan hvorfor kan jeg skriv forklar tak gerne meget noget mennesker også efter",
        "de": "und der die das nicht ich ist ein eine zu in den mit von auf für im dem sich es auch als an werden "
        "aus er hat dass sie nach wird bei einer um am sind noch wie einem über einen so zum war haben nur "
        "oder aber vor zur bis mehr durch man sein wurde kann warum schreibe erkläre bitte mein viel können "
        "möchte",
        "es": "de la que el en y a los se del las un por con no una su para es al lo como más o pero sus le ha me "
        "si sin sobre este ya entre cuando todo esta ser son dos también fue había era muy años hasta desde "
        "está mi porque qué solo han yo hay vez puede cómo escribe explica dónde quiero hacer necesito puedo "
        "gracias",
        "fi": "ja on ei se että en hän oli mutta niin kuin ole mitä minä olen sinä tämä kun vain jos voi nyt sen "
        "ovat hyvä miten miksi mikä missä kiitos haluan kirjoita selitä paljon kanssa myös sitten joka minun "
        "hänen tehdä kaikki vielä mukaan jälkeen ennen vuoden ihminen asia päivä suomen",
        "fr": "de la le et les des en un du une que est pour qui dans a par plus pas au sur ne se ce il sont avec "
        "mais on ou son je vous nous elle cette ses comme fait être aux deux tout leur bien sans peut même y "
        "aussi ont après comment pourquoi quel quelle écris explique merci veux mon mes quoi faire besoin "
        "puis",
        "hr": "i je u da se na što za su ne s od a kako će sam koji koja bi ali to po iz ili biti ima kao samo još "
        "kada može zašto gdje napiši objasni molim hvala želim moj tvoj njegov ovaj taj vrlo više ljudi "
        "godina dan dobro",
        "hu": "a az és hogy nem is egy van meg ez de volt csak már azt mint ha el kell még vagy mi fel ki ezt lehet "
        "minden nagyon én te hogyan miért mit hol mikor írj magyarázd kérlek köszönöm szeretnék tudom jó "
        "ember nap után közül",
        "id": "yang dan di itu dengan untuk tidak ini dari dalam akan pada juga saya ke karena ada mereka lebih "
        "kita sudah atau saat oleh bisa orang seperti kami kamu apa bagaimana mengapa tolong buatkan jelaskan "
        "tulis cara terima kasih ingin harus banyak anda adalah sebuah secara bahwa hanya",
        "it": "di che è e la il un a per in una sono mi ho non si lo ha le con ti se cosa i da come io ci questo "
        "qui hai sei del bene tu al me più ma o anche della gli perché fare alla nel essere scrivi spiega "
        "grazie voglio mio quando dove quale quanto posso molto dei delle tutto fatto",
        "nl": "de het een en van ik te dat die in is niet op met voor zijn je er aan maar ook als om dan nog bij "
        "naar hij was heeft wat hoe waarom waar kan wil mijn deze dit wel geen door over uit tot werd meer "
        "schrijf leg alstublieft bedankt graag veel iets mensen worden moet heb jij zou kunnen",
        "no": "og i det er på en til som å for at med de av ikke den har jeg om et var men seg han vi hun kan fra "
        "skal så ble eller når meg deg hvordan hvorfor hva hvor skriv forklar takk gjerne veldig noe "
        "mennesker også etter vil være alle noen opp ut mye bare selv",
        "pl": "i w nie na to się z że do jest o co jak ale po mi tak za od ja czy być by tylko jego już dla może są "
        "który która które oraz przez ten jej mnie proszę napisz wyjaśnij dlaczego gdzie kiedy chcę mogę "
        "dziękuję bardzo dobrze człowiek czas życie więcej jeśli także",
        "pt": "de a o que e do da em um para é com não uma os no se na por mais as dos como mas foi ao ele das tem "
        "à seu sua ou ser quando muito há nos já está eu também só pelo pela até isso ela entre era depois "
        "sem mesmo aos ter você escreva explique quero fazer preciso obrigado posso meu minha",
        "ro": "și de a în la cu pe nu să o un este că din mai care ce se pentru sunt dar au fost sau lui ea el ca "
        "acest această fi am ai cum unde când vreau scrie explică te rog mulțumesc foarte bine oameni după "
        "până fără prin despre poate trebuie meu tău",
        "sv": "och i att det som en på är av för med den till inte om ett har de jag var men sig från vi så kan man "
        "när hur varför vad där skriv förklara tack gärna mycket något människor också efter ska vill vara "
        "alla någon upp ut bara själv hon han min din vid eller under över",
        "tl": "ang ng sa na at ay mga si ko mo ako ikaw siya hindi ito para kung pero may ano paano bakit saan "
        "gusto kong isang din po lang naman kami tayo sila niya nila ating sumulat ipaliwanag salamat tao "
        "araw gawin mahal",
        "tr": "ve bir bu da de için ile ne çok o ama gibi daha kadar olarak en var mi değil ben sen "
        "biz nas\u0131l neden "
        "nerede yaz aç\u0131kla lütfen teşekkürler istiyorum olan sonra her şey zaman insan benim senin onun olur "
        "m\u0131 yok ya hangi",
        "vi": "là và của có cho không một được trong với những người để tôi bạn này khi đã các như thế nào tại sao "
        "ở đâu hãy viết giải thích cảm ơn muốn làm rất nhiều cũng đến từ thì mà về sẽ đó nếu anh em vì phải "
        "đang",
    }
)
"""By ISO 639-1 code, separated by spaces."""
