"""Names for made-up sites: of many peoples, since phones and directories must take them all."""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST_NAMES = _words(
    """
    Aaliyah Aarav Abigail Adélaïde Agnieszka Ahmed Aïcha Aleksandra Alejandro Álvaro Amélie Amir
    Ana Anaïs André Ángela Anna Antónia Arjun Åsa Astrid Ayşe Beatriz Benjamin Björn Bogdan Bruno
    Çağla Camille Carlos Caroline Céline Chen Chiara Chloé Chukwuemeka Claire Conor Cristóbal
    Daniel Daria David Deniz Diego Dmitri Dorothée Edward Eilidh Élodie Emeka Emily Émile Emma
    Enrique Erik Esther Eszter Eva Fabián Fatima Fernando Fiona Florian François Freya Gabriel
    Gaëlle George Giulia Göran Grace Guadalupe Gülay Hannah Hans Haruto Héctor Helena Hélène Henry
    Hiroshi Hüseyin Ibrahim Ifeoma Imogen Inês Ingrid Isabella Ítalo Ivan Jacob James Jana Jan
    Jasmine Javier Jérôme Jiří João Johannes José Joséphine Júlia Jürgen Kateřina Katherine Kenji
    Khadija Kofi Kristián Kwame Laura Léa Leonardo Leïla Liam Lin Linnéa Lluís Lucía Lukas Łukasz
    Maëlys Magnus Małgorzata Manuel Marek María Márton Mathilde Matteo Maya Mehmet Mei Michael
    Miguel Mónica Naoko Natália Nia Nicolás Niamh Noah Noémie Nuño Oksana Olivia Olumide Ömer Oscar
    Øystein Paulo Pénélope Petra Pierre Priya Rachel Rafael Raúl René Renée Ricardo Robert Róisín
    Rosa Rui Ruth Ryan Sakura Samuel Sánchia Sara Sébastien Seán Sigrún Siobhán Søren Sofía
    Stanisław Stéphane Susan Svetlana Szymon Tatiana Thabo Théo Thérèse Thomas Tiago Tomáš Ülkü
    Valentina Vera Věra Víctor Vikram Wanjiru William Xavier Ximena Yara Yasmin Yūki Yusuf Zainab
    Zoë Zofia Zuzana
    """
)

LAST_NAMES = _words(
    """
    Abdullah Abe Achebe Adams Adeyemi Aguilar Ahlström Ahmed Åkesson Albrecht Almeida Álvarez
    Andersen Andersson Arnaud Ávila Bailey Bąk Baker Banerjee Barros Baumann Beaulieu Béranger
    Bergström Bianchi Björklund Blanc Böhm Bondarenko Borges Brânză Brown Brûlé Büchner Byrne Çelik
    Campbell Cardoso Castañeda Cavalcânti Černý Chang Charpentier Chávez Clarke Cohen Conceição
    Côté Cruz Dąbrowski Dahl Davies Delacroix Demir Díaz Diallo Dubois Dumitru Dupré Dvořák Edwards
    Eklund Eriksson Escobar Estévez Evans Faßbinder Fernández Ferreira Fischer Fitzgerald Flores
    Fontaine Fournier Fraser Friðriksdóttir Fuchs Fujita García Garnier Gauthier Gómez Gonçalves
    Grabowski Green Großmann Guðmundsson Gupta Gutiérrez Haddad Håkansson Hamilton Hansen Harris
    Hashimoto Häußler Hernández Herrera Hoffmann Holm Horváth Huang Hughes Ibáñez Ionescu Ivanova
    Jackson Jäger Jansen Jiménez Johansson Jönsson Jóhannsdóttir Jovanović Kamau Kapoor Karlsson
    Kaya Kelly Khan Kim Kjær Kobayashi Köhler Kovács Kowalski Kőszegi Krüger Kučera Larsen Lefèvre
    Lemaître Lévêque Lindqvist Łoś López Lundgren MacDonald Magalhães Mahmoud Márquez Martín
    Martínez Masuda Mbeki McCarthy Médina Meißner Mendonça Meyer Miller Mokoena Møller Morales
    Moreau Müller Muñoz Murphy Nagy Nakamura Nascimento Navrátil Németh Ng Nguyễn Nielsen Novák
    Núñez Nwosu O'Brien O'Connor Ó'Súilleabháin Oduya Okafor Olsen Öztürk Ødegård Pacheco Padilla
    Pálsson Park Patel Peña Pereira Pérez Petrov Pham Pinheiro Popović Prévost Quiñones Rahman
    Ramírez Rasmussen Reyes Ribeiro Richter Ríos Robinson Rodríguez Romero Rossi Różycki Ruiz Sá
    Salazar Sánchez Santana Sato Schäfer Schmidt Schröder Serrão Ševčík Şahin Sharma Silva Simões
    Singh Škoda Smith Sørensen Strauß Suárez Suzuki Świątek Szabó Takahashi Tamm Taylor Thompson
    Þórsson Toussaint Tran Treviño Tshabalala Ünal Usman Valdés Van Vásquez Vaughan Vinter Virtanen
    Vogel Wagner Walker Wang Weiß Williams Wiśniewski Wójcik Wright Xu Yáñez Yamamoto Yılmaz Young
    Zając Zamora Zhang Ziegler Žižek Zúñiga
    """
)

DEPARTMENTS = (
    "Sales",
    "Support",
    "Billing",
    "Warehouse",
    "Human resources",
    "Legal",
    "Facilities",
    "Purchasing",
    "Engineering",
    "Quality",
    "Café",
    "Travel",
    "Marketing",
    "Training",
    "Security desk",
    "Dispatch",
)

FLOORS = (
    "Ground floor",
    "1st floor",
    "2nd floor",
    "3rd floor",
    "4th floor",
    "5th floor",
    "6th floor",
    "Warehouse",
    "Annexe",
    "Gatehouse",
)

MODELS = (
    "Yealink SIP-T46U",
    "Yealink SIP-T54W",
    "Poly VVX 450",
    "Poly Edge E350",
    "Grandstream GRP2614",
    "Cisco CP-8851-3PCC",
)

ORGANISATIONS = (
    "Ashdown Printing",
    "Birchwood Dental",
    "Cobalt Freight",
    "Delmont Foods",
    "Eastgate Clinic",
    "Fairhaven Bank",
    "Granite Insurance",
    "Hollis and Daughters",
    "Inverness Optics",
    "Juniper Catering",
    "Kestrel Couriers",
    "Larkspur Hotels",
    "Merrow Textiles",
    "Northfield Schools",
    "Orchard Pharmacy",
    "Pemberton Tools",
    "Quayside Marine",
    "Redfern Law",
    "Saltmarsh Energy",
    "Tamarind Travel",
)
