# ruff: noqa: RUF001
r"""What stands around an answer, a table a kind of failure: gold, and completions that are not right, or must stay so.

A wrong answer may be "cannot tell" (None) or wrong: neither earns a reward. Completions are parted by two semicolons.
"""

import pytest

from saerl_core.rollouts.grading import Grader
from tests.cases.tables import rows

NOT_RIGHT = {
    "signs and units around a box": {
        "9": r"""
            $\boxed{9}x$ ;; $\boxed{9} x^2$ ;; $\boxed{9}\sqrt{2}$ ;; \boxed{9}! ;; \boxed{9}\pi ;; \boxed{9}i ;;
            \boxed{9}(x+1) ;; \boxed{9}_{2} ;; \boxed{9}00 ;; \boxed{9}.5 ;; \boxed{9},000 ;; \boxed{9}k ;;
            $\boxed{9} * 3$ ;; $x\boxed{9}$ ;; $\ln\boxed{9}$ ;; $x^{\boxed{9}}$ ;; $\frac{8}{\boxed{9}}$ ;;
            $x = 8-\boxed{9}$ ;; $(8,\boxed{9})$ ;; $x > \boxed{9}$ ;; \pi\boxed{9} ;; \sqrt\boxed{9} ;;
            \sqrt[3]{\boxed{9}} ;; 8+\boxed{9} ;; \log_2 \boxed{9} ;; x \ne \boxed{9} ;; $\boxed{9}$ + 3 ;;
            $x$ + \boxed{9} ;; 8 + $\boxed{9}$ ;; $\boxed{9}$ x ;; $\boxed{9}$^2 ;; $2\cdot$ $\boxed{9}$ ;;
            $\boxed{9}$ $\sqrt{2}$ ;; the answer is - \boxed{9} ;; $- \boxed{9}$ ;; $8, \boxed{9}$ ;;
            8, \boxed{9} ;; \begin{pmatrix} 1 & \boxed{9}\end{pmatrix} ;;
            \begin{align} x &= 3 + \boxed{9}\end{align} ;; \begin{align} x &= 3 \\ &+ \boxed{9}\end{align} ;;
            x \geq \boxed{9} ;; x != \boxed{9} ;; $x \not= \boxed{9}$ ;; $\boxed{9} < x$ ;; \boxed{9}x ;;
            \boxed{9} x ;; \boxed{9}² ;; √\boxed{9} ;; 2×\boxed{9} ;; $\boxed{9}\cdot 10^3$ ;; $\boxed{9}\div 3$ ;;
            $f(\boxed{9})$ ;; f(\boxed{9}) ;; $\sin(\boxed{9})$ ;; \frac{\boxed{9}}{2} ;; \boxed{9}/2 ;;
            $\boxed{9} \bmod 5$ ;; $[0, \boxed{9})$ ;; $\{\boxed{9}, 3\}$ ;; $\boxed{9} \pm 2$ ;;
            \boxed{9} \pm 2 ;; \boxed{9}±2 ;; $x_{\boxed{9}}$ ;; $\binom{\boxed{9}}{2}$ ;; $\boxed{9}'$ ;;
            \(2\boxed{9}\) ;; \[\sqrt{\boxed{9}+1}\] ;; $e^{\boxed{9}}$ ;; $\boxed{9}\cos x$ ;; \boxed{9}e ;;
            \boxed{9} \ln 2 ;; \boxed{9}\text{ million} ;; \boxed{9}M ;; \boxed{9}K ;; \boxed{9}e3 ;;
            \boxed{9}e+3 ;; $\boxed{9}+C$ ;; $\boxed{9}, 10$ ;; $\boxed{9}; 10$ ;; $\boxed{9}:10$ ;;
            \boxed{9}:10 ;; 3:\boxed{9} ;; \boxed{9}\frac{1}{2} ;; $\boxed{9}\tfrac12$ ;; \boxed{9} 1/2 ;;
            $\neg\boxed{9}$ ;; $n!/\boxed{9}$ ;; $\lfloor\boxed{9}\rfloor+1$ ;; $\boxed{9} \le x$ ;;
            $x \le \boxed{9}$ ;; $-5 < x < \boxed{9}$ ;; between 3 and \boxed{9} ;; 3 to \boxed{9} ;;
            3-\boxed{9} ;; 3 - \boxed{9} ;; x - \boxed{9} ;; x-\boxed{9} ;; \boxed{9}-x ;; \boxed{9} - x ;;
            \boxed{9} - 3 ;; $\boxed{9}$ - 3 ;; $\boxed{9}$-$3$ ;; $\boxed{9}$ × 3 ;; $\boxed{9}$ times 3 ;;
            $\boxed{9}$ plus 3 ;; $3$ plus $\boxed{9}$ ;; 3 times \boxed{9} ;; negative $\boxed{9}$ ;;
            minus \boxed{9} ;; $1/\boxed{9}$ ;; 1 / \boxed{9} ;; 1/$\boxed{9}$ ;; \boxed{9}^{-1} ;;
            \overline{\boxed{9}} ;; $\overline{1\boxed{9}}$ ;; $0.\boxed{9}$ ;; 0.\boxed{9} ;; $|\boxed{9}-10|$ ;;
            $\boxed{9}|x|$ ;; $\boxed{9}[x]$ ;; $\boxed{9}\{x\}$ ;; $\boxed{9}\vec{v}$ ;; $\boxed{9}\mathbf{i}$ ;;
            $\boxed{9}\mathbf{i}+2\mathbf{j}$ ;; $\boxed{9} \cup \{3\}$ ;; $\mathbb{R}\setminus\boxed{9}$ ;;
            $P(\boxed{9})$ ;; $\max(\boxed{9}, 10)$ ;; $\gcd(\boxed{9},3)$ ;; $\text{not }\boxed{9}$ ;;
            $\boxed{9}\text{ is wrong}$ ;; $\boxed{9}\text{ or }8$ ;; $8\text{ or }\boxed{9}$ ;;
            $\boxed{9}\text{ dozen}$ ;; \boxed{9} dozen eggs ;; \boxed{9} thousand ;; \boxed{9} billion dollars ;;
            \boxed{9} halves ;; \boxed{9} tenths""",
        "3 m": r"""
            \boxed{3} km ;; $\boxed{3}\,km$ ;; $\boxed{3}\ \mathrm{km}$ ;; **\boxed{3}** km ;; \boxed{3} (km) ;;
            $\boxed{3}$ (in km)""",
        "3 hours": r"""
            $\boxed{3}$ minutes""",
        "-9": r"""
            |\boxed{-9}|""",
        "9 m": r"""
            $\boxed{9}^\circ$ ;; \boxed{9}°""",
        "2 hours": r"""
            \boxed{2} hours and 30 minutes""",
        "2 min": r"""
            \boxed{2} h""",
        "50 cm": r"""
            \boxed{50} percent""",
        "9 cm": r"""
            $\boxed{9}\%$""",
        "9x": r"""
            ~\boxed{9}""",
        "9 F": r"""
            \boxed{9}^\circ C""",
        "0": r"""
            1,\boxed{000}""",
        "3 g": r"""
            \boxed{3} kg""",
        "3 km": r"""
            \boxed{3} kg.""",
        "3 cm": r"""
            $\boxed{3}$ cm^2 ;; \boxed{3} square cm ;; \boxed{3} in.""",
        "3 m^2": r"""
            \boxed{3} cubic meters""",
        "3 m/s": r"""
            \boxed{3} km/h""",
        "3 km/h": r"""
            $\boxed{3}$ miles per hour""",
        "3 dollars": r"""
            \boxed{3} cents""",
        r"\$3": r"""
            $\boxed{3}$ cents ;; €\boxed{3} ;; \boxed{3}€ ;; £\boxed{3} ;; \boxed{3} euros""",
        "3 feet": r"""
            \boxed{3} inches""",
        "3米": r"""
            \boxed{3}千米""",
        "3 a.m.": r"""
            \boxed{3} p.m.""",
        "3:00 am": r"""
            \boxed{3:00} pm ;; \boxed{3:00} p.m.""",
    },
    "words around a box": {
        "9": r"""
            \boxed{9} or 8 ;; $8$ or $\boxed{9}$ ;; \boxed{9} squared ;; \boxed{9} and a half ;; \boxed{9}万 ;;
            the square root of \boxed{9} ;; \boxed{9} if x > 0, otherwise 3""",
        "8": r"""
            \boxed{8}. Wait, that is wrong. Answer: 9 ;; \boxed{8} is wrong ;; It is not \boxed{8} ;;
            \boxed{8} or 9 ;; \boxed{8}. Answer: 9 ;; \boxed{8} is not the answer ;; \boxed{8}? No. ;;
            The answer isn't \boxed{8} ;; less than \boxed{8} ;; $\boxed{8}$. No, wait, it should be 9 ;;
            I rule out \boxed{8} ;; $\boxed{8}$ is incorrect ;; \boxed{8} does not work ;; either 7 or \boxed{8} ;;
            \boxed{8}, scratch that, 9 ;; The wrong answer is \boxed{8} ;; \boxed{8} cannot be right ;;
            \boxed{8}\n\nHmm, that is not right. The correct answer is 9. ;; It can't be \boxed{8} ;;
            We must reject \boxed{8} ;; \boxed{8} — no, it's 9 ;; \boxed{8}... no wait, 9 ;;
            \boxed{8}. Sorry, 9. ;; \boxed{8}. I made an error; it is 9. ;; \boxed{8}? Or 9? ;;
            \boxed{8}, maybe 9 ;; \boxed{8} (wrong) ;; \boxed{8} (incorrect) ;; \boxed{8} (not the answer) ;;
            \boxed{8}. That is not correct. ;; \boxed{8}. On reflection the answer is 9 ;;
            \boxed{8}. Let me reconsider: 9 ;; \boxed{8}. Correction: 9 ;; ~~\boxed{8}~~ 9 ;; \boxed{8} at most ;;
            \boxed{8} at least ;; \boxed{8} or more ;; \boxed{8}+ ;; Anything except \boxed{8} ;;
            The answer is not equal to $\boxed{8}$ ;; never \boxed{8} ;; neither 7 nor \boxed{8} ;;
            \boxed{8} is not it ;; \boxed{8} is one of the answers ;; one of them is \boxed{8}, the other is 9 ;;
            \boxed{8} and 9 ;; \boxed{8}, 9 ;; \boxed{8}; 9 ;; \boxed{8}/9 ;; \boxed{8} / 9 ;;
            \cancel{\boxed{8}} 9 ;; $\cancel{\boxed{8}}$ ;; \sout{\boxed{8}} ;; \boxed{\cancel{8}} ;;
            If x>0 then \boxed{8}, else 9 ;; \boxed{8} when $x>0$ and 9 otherwise ;; \boxed{8} is false ;;
            Not \boxed{8} ;; $\boxed{8}$ doesn't fit ;; I think \boxed{8} but I also get 9 ;;
            \boxed{8}\n\nBut this is incorrect ;; \boxed{8} was my first guess ;; Is it \boxed{8}? ;;
            \boxed{8} is rejected ;; \boxed{8} is an extraneous root ;; \boxed{8}. But 8 is extraneous. ;;
            \boxed{8}. The final answer is 9.""",
    },
    "options": {
        "A": r"""
            A is incorrect; B is right ;; Answer: A. I was wrong ;; \boxed{A}. That is incorrect. ;;
            \boxed{A}. A is wrong. ;; Answer: A. The answer is B. ;; Answer: A. B is the right one ;;
            Answer: A, unless it is B ;;
            \boxed{(A) \text{ or } (B)} ;; \boxed{A. 3, B. 4} ;; Answer: (A) or maybe (B) ;;
            The answer is A, but it could be B ;; A) is incorrect ;; A. no, it's B ;; Answer: (A)/(B) ;;
            The answer is A if x > 0, otherwise B ;; \boxed{A) \text{wrong}} ;; The answer is A or B ;;
            Answer: A / B ;; (A) and (B) ;; Answer: A? or B ;; A: wrong ;; \boxed{A} or B ;; \boxed{A}/\boxed{B} ;;
            Answer: A. Not B but C ;; Answer: not A ;; The answer is (A) or (B), I think ;; Answer: A maybe B ;;
            Answer: A, or B ;; A or B ;; (A), (B) ;; Answer: A and B ;; A/B ;; \boxed{A/B} ;;
            \boxed{A \text{ or } B} ;; \boxed{A, B} ;; \boxed{AB} ;; \boxed{A|B} ;; \boxed{A \to B} ;;
            \boxed{(A)\ \text{or}\ (B)} ;; The answer is either A or B ;; The answer is between A and B ;;
            Answer: A (or B) ;; Answer: A; B ;; Answer: A? No, B. ;; Answer: A -> B ;; Answer: A is wrong ;;
            Answer: A is not correct ;; A is not the answer ;; A isn't right ;; The answer can't be A ;;
            The answer is not (A) ;; A. Wait, B ;; Answer: A. Actually B. ;; Answer: (A) 3 or (B) 4 ;; A) 3 B) 4 ;;
            Answer: A+B ;; All except A ;; Options A and B ;; option A or option B ;;
            Answer: A but B is also possible ;; Answer: A or C, unclear ;; Answer: A, no B ;; Answer: A - no ;;
            Answer: A is false ;; Answer: A could be wrong ;; Answer: A, if not B ;; \boxed{\text{A or B}} ;;
            \boxed{\text{(A) and (B)}} ;; \boxed{A}, \boxed{B} ;; $\boxed{A}$ or $B$ ;; \boxed{A} is wrong ;;
            \boxed{A}? \boxed{} ;; Answer: (A) and not (B)... or (B) ;; Answer: A, B ;; Answer: both A and B""",
    },
    "without a box": {
        "8": r"""
            total is 3, 8 ;; total is 3 or 8 ;; the total is $9$ or $8$ ;; the total is 3 + 8 ;;
            the total is x - 8 ;; the total is - 8 ;; the total is √8 ;; the total is sqrt 8 ;;
            the total is (3, 8) ;; f(8) ;; log 8 ;; 3 to 8 ;; 3 4 5 6 7 8 ;; the answer does not equal 8 ;;
            the answer cannot be equal to 8 ;; the total is under 8 ;; It should be 7 instead of 8 ;;
            the total is below 8 ;; the total is above 8 ;; up to 8 ;; the total exceeds 8 ;;
            the total is different from 8 ;; I rule out 8 ;; the answer is f(8) ;;
            the total number of them is log 8 ;; so we get a total of 3 8 ;; the total of all is 8! ;;
            the total of it all is 8x ;; the total of all of it is 8 squared ;;
            the total of all of it is 8 or more ;; the total of all of it is 8, or 9 maybe ;;
            So in the end she has 3 and 8 apples ;; the total in the end is 3 - 8 ;;
            total of all of these is [3, 8] ;; So there are no more than 8 apples ;;
            So there are fewer than 8 apples ;; she never has 8 apples in the end ;;
            So in the end it isn't 8 apples ;; the total of all is $x + 8$ ;; the total of all is x + 8 ;;
            the sum of these is |8| ;; so 8 is not the right total here ;; so the total being 8 is wrong ;;
            the total here is between 3 and 8 ;; the total is within 8 of it ;; the total is far from 8 ;;
            the sum is 5^8 in the end ;; the sum in all is e^{8} ;; so the value is at the very least 8 ;;
            so the total is 8 + 3x in the end ;; so the total is 8 million in the end ;;
            It can be anything other than 8 here ;; the total cannot possibly be 8 here ;;
            so the set is {3, 8} in the end ;; so the total ranges from 3 to 8 ;; Either it is 7 or it is 8 ;;
            the total is 7 rather than 8 here ;; so we divide it by 8 ;; all of it is divisible by 8 ;;
            the total is the square root of 8 ;; the total is 8 + x ;; the total is 8x ;; the total is 8 x ;;
            the total is 8 - 3 ;; the total is 8-3x ;; the total is 8/x ;; the total is 8^2 ;; the total is 8² ;;
            the total is (8, 3) ;; the total is 8:3 ;; the total is 3:8 ;; the total is 3 / 8 ;; total 3/8 ;;
            the total is 2 × 8 ;; 2*8 ;; the total is 2·8 ;; the total is ∛8 ;; the total is |8| ;;
            the total is -8 ;; the total is −8 ;; the total is – 8 ;; the total is ±8 ;; the total is ~8 ;;
            the total is >8 ;; the total is ≥ 8 ;; the total is ≠ 8 ;; total != 8 ;; x < 8 ;; the total is \pi 8 ;;
            the total is \sqrt{8} ;; \sqrt 8 ;; the total is 0.8 ;; the total is 1.8 ;; the total is 8.5 ;;
            the total is 8,000 ;; the total is 8 thousand ;; the total is 8 hundred ;; the total is 8k ;;
            the total is 8e3 ;; the total is 8th ;; the total is #8 ;; exponent e^8 ;; 2^8 ;; a_8 ;; x_8 ;;
            sin 8 ;; cos(8) ;; [8, 9] ;; {8}, {9} ;; [3; 8] ;; 3;8 ;; 3, 5 and 8 ;; 3, 5, 8 ;; 3 & 8 ;; 3 vs 8 ;;
            3 | 8 ;; 3 → 8 ;; 8 → 3 ;; 8 = x + 1 ;; between 8 and 9 ;; 8 to 9 ;; 8-9 ;; 8 – 9 ;; 8..9 ;; 8 or so ;;
            8ish ;; 8+ ;; about 8 ;; roughly 8 ;; close to 8 ;; nearly 8 ;; approximately 8 ;; no fewer than 8 ;;
            not more than 8 ;; no less than 8 ;; at least 8 ;; at most 8 ;; bigger than 8 ;; smaller than 8 ;;
            larger than 8 ;; lower than 8 ;; beyond 8 ;; past 8 ;; short of 8 ;; starting at 8 ;; not even 8 ;;
            never 8 ;; hardly 8 ;; rather than 8 ;; other than 8 ;; except 8 ;; excluding 8 ;; without 8 ;;
            anything but 8 ;; it isn't 8 ;; it wasn't 8 ;; it won't be 8 ;; it can't be 8 ;;
            It could not be 8 in the end ;; the answer would never be 8 ;; the answer is far from being 8 ;;
            it is impossible for it to be 8 ;; the answer fails to be 8 ;; it is wrong to say 8 ;;
            the wrong total is 8 ;; 8 is wrong ;; 8 is incorrect ;; 8 is not the total ;; 8 isn't it ;; 8? no ;;
            8, no, 9 minus 1 ;; 8 would be wrong ;; I doubt it is 8 ;; I reject 8 ;; I discard 8 ;;
            we eliminate 8 ;; we exclude 8 ;; twice 8 ;; half of 8 ;; double 8 ;; square of 8 ;; 8 squared ;;
            8 cubed ;; 8 factorial ;; 8! ;; the factorial of 8 ;; a multiple of 8 ;; a factor of 8 ;;
            divisible by 8 ;; multiplied by 8 ;; 8 times 3 ;; 8 plus 3 ;; 8 minus 3 ;; 8 and a half ;; 8 halves ;;
            8 dozen ;; 8 mod 3 ;; 3 mod 8 ;; mod 8 ;; 8 percent of 50 ;; 8 out of 10 ;; 3 out of 8 ;; 1 in 8 ;;
            step 8 ;; page 8 ;; chapter 8 ;; Theorem 8 ;; Problem 8 ;; Question 8 ;; case 8 ;; day 3 of 8 ;;
            either 7 or 8 ;; maybe 7, maybe 8 ;; 7 then 8 ;; 7/8 ;; 7 8 ;; 7, 8, ... ;; 8, 9, ... ;; 8 if x>0 ;;
            8 unless x=0 ;; 8 when x>0, otherwise 9 ;; first it is 7, second it is 8 ;; x is 7 and y is 8 ;;
            from 7 up to 8 ;; 8 more than x ;; less 8 ;; n=7, m=8 ;; 7 (not 8) ;; 7, not 8 ;; 7 but not 8 ;;
            7 instead of 8 ;; 7 as opposed to 8 ;; the total is 7 whereas Bob said 8 ;; if it were 8""",
    },
}
NOT_RIGHT_LINES = [
    ("1/2", r"\boxed{\frac{1}{2}}, or 60%."),
    ("1/3", r"\boxed{1/3} or 0.34."),
    ("8", r"\boxed{8} or 8.5"),
    ("8", r"3, \boxed{8}"),
    *(
        ("8", f"{lead}{said}.")
        for lead in ("The answer is ", "")
        for said in (
            *(r"(3, $\boxed{8}$)", r"f($\boxed{8}$)", r"log $\boxed{8}$", r"3 4 5 $\boxed{8}$", r"x$\boxed{8}$"),
            *(r"[3, $\boxed{8}$]", r"($\boxed{8}$, 9)", r"3:$\boxed{8}$", r"$\boxed{8}$:3", r"$\boxed{8}$π"),
            *(
                r"0.$\boxed{8}$",
                r"1$\boxed{8}$",
                r"!= $\boxed{8}$",
                r"2($\boxed{8}$)",
                r"{\boxed{8}, 9}",
                r"-$\boxed{8}$",
            ),
            *(r"\boxed{8}... no, 9", r"\boxed{8}→9", r"$\boxed{8}$->9", r"3 km and \boxed{8} m", r"$x$ $\boxed{8}$"),
        )
    ),
    *(
        ("8", f"{lead}{said}{tail}")
        for lead in ("The answer is ", "#### ", "So in the end the total of them is ", "**Final Answer**\n", "<answer>")
        for said in (
            *(
                "$8$x",
                "$8$ + 3",
                "$8$ squared",
                "$8$^2",
                "less than $8$",
                "-$8$",
                "8π",
                "8 pi",
                "8·10^3",
                "4a-8",
                "8 x",
            ),
            *("8 km x", "f(8)", "3, 8", "8 or more", "8 is wrong", "up to 8", "$3$, $8$", "2(8)", "8C3", "8→9"),
        )
        for tail in ("", ".", " in total.")
    ),
    ("8", "\\boxed{8}\n\n#### 9"),
    ("A", "A: 3\nB: 4"),
]


@pytest.mark.parametrize(("gold", "completion"), [*rows(NOT_RIGHT), *NOT_RIGHT_LINES])
def test_what_is_around_an_answer_changes_it(grader: Grader, gold: str, completion: str) -> None:
    assert grader.grade([completion], [gold])[0].correct is not True


@pytest.mark.parametrize(
    "monster",
    [
        r"\boxed{" * 1000 + "1" + "}" * 1000,
        r"\boxed{" * 20_000 + "1" + "}" * 20_000,
        r"\boxed{" + r"\vec{" * 300 + "x" + "}" * 301,
        r"\boxed{" + "{" * 900 + "1+" + "}" * 901,
    ],
)
def test_what_is_nested_too_deep_is_unknown_and_harms_no_other(grader: Grader, monster: str) -> None:
    assert [verdict.correct for verdict in grader.grade([monster, "1"], ["1", "1"])] == [None, True]
    assert grader.grade(["1"], [monster[:1900]])[0].correct is None
