"""The words that the reader knows: LaTeX commands, functions, words that are no products. One table a kind."""


def words(text: str) -> frozenset[str]:
    """Return the words of a text, which is easier to read than a list of strings."""
    return frozenset(text.split())


DROPPED = words(
    "left right big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr middle displaystyle "
    "textstyle limits nolimits rm bf it sf hline mathstrut boldmath strut centering scriptstyle"
)
SPACING = words("quad qquad thinspace enspace enskip space medspace thickspace negthinspace")
SPACING_SIGNS = frozenset(",;:! ><")
WITH_LENGTH = words("hspace vspace phantom hphantom vphantom label tag color")
TEXT = words("text textbf textit textrm textnormal texttt textsf mbox hbox emph mathrm mathbf mathit mathsf") | words(
    "operatorname boldsymbol bm mathnormal pmb"
)
FONTS = frozenset(("mathbb", "mathcal", "mathscr", "mathfrak"))
ACCENTS = frozenset(("vec", "hat", "overrightarrow", "tilde", "widehat", "widetilde"))
SAME = {
    "dfrac": "frac",
    "tfrac": "frac",
    "cfrac": "frac",
    "dbinom": "binom",
    "tbinom": "binom",
    "leq": "le",
    "geq": "ge",
    "leqslant": "le",
    "geqslant": "ge",
    "neq": "ne",
    "lt": "<",
    "gt": ">",
    "ast": "*",
    "lbrace": "{",
    "rbrace": "}",
    "lbrack": "[",
    "rbrack": "]",
    "vert": "|",
    "lvert": "|",
    "rvert": "|",
    "colon": ":",
    "varnothing": "emptyset",
    "backslash": "setminus",
    "smallsetminus": "setminus",
    "varphi": "phi",
    "varepsilon": "epsilon",
    "vartheta": "theta",
    "cr": "row",
    "degree": "circ",
    "vee": "lor",
    "wedge": "land",
    "dots": "ldots",
    "cdots": "ldots",
    "infin": "infty",
    "bmod": "mod",
    "Vert": "norm",
    "lVert": "norm",
    "rVert": "norm",
    "rightarrow": "to",
    "implies": "Rightarrow",
    "lparen": "(",
    "rparen": ")",
    "tg": "tan",
    "ctg": "cot",
    "arctg": "arctan",
    "cosec": "csc",
    "percent": "%",
    "euro": "€",
    "pounds": "£",
    "dollar": "$",
}
SYMBOL_COMMANDS = frozenset("<>*{}[]|:()%$€£")
LETTER_COMMANDS = words(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau upsilon phi "
    "chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega ell hbar"
)
PLAIN_FUNCTIONS = words(
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh ln log lg exp sqrt gcd lcm max min floor "
    "ceil abs asin acos atan arccot arcsec arccsc binom"
)
PLAIN_COMMANDS = {"pi": "pi", "infinity": "infty", "inf": "infty", "oo": "infty", "theta": "theta", "alpha": "alpha"}
FUNCTIONS_OF_ONE = words(
    "sin cos tan cot sec csc arcsin arccos arctan arccot arcsec arccsc sinh cosh tanh ln log lg exp"
)
ENGLISH = words(
    "is it in on no of or so to us we an as at be by do go he if me my up the and for are has was but not "
    "you all can one two six ten how now she any its our out say see too use way who day did get him his "
    "new old per sum set area"
)
