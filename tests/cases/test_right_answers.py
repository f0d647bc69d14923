"""Right answers that look like those that what is around them changes; they stay right."""

import pytest

from saerl_core.rollouts.grading import Grader
from tests.cases.tables import rows

RIGHT = {
    "boxes": {
        "9": r"""
            \boxed{9} apples are left. ;; $x = \boxed{9}$ ;; 8+1=\boxed{9} ;; $\therefore \boxed{9}$ ;;
            $\Rightarrow \boxed{9}$ ;; $\text{Answer: }\boxed{9}$ ;; The answer is $\boxed{9}$! ;;
            **Answer:** \boxed{9} ;; - \boxed{9} ;; * $\boxed{9}$ ;; 1. \boxed{9} ;; Answer - \boxed{9} ;;
            \[ \boxed{9}. \] ;; \[\boxed{9}\quad\blacksquare\] ;; (\boxed{9}) ;; (so \boxed{9}) ;;
            Thus $\boxed{9}$, as desired. ;; so $x=9$, giving \boxed{9} ;; It costs $5 + $4 = \boxed{9} ;;
            It costs $5 and $4, so $\boxed{9}$. ;; It costs $5, so $\boxed{9}$. ;; \boxed{9} (since 3*3=9) ;;
            $\boxed{9}$ \checkmark ;; $\mathbf{\boxed{9}}$ ;; $\color{red}{\boxed{9}}$ ;;
            \textbf{Answer: \boxed{9}} ;; \text{The answer is } \boxed{9} ;; \boxed{9} km ;; \boxed{\$9} ;;
            \$\boxed{9} ;; $\boxed{9}$ dollars per hour ;; \boxed{9} more apples than Bob ;;
            He jumped \boxed{9} times. ;; \boxed{9} a day ;; \boxed{9} I think ;; > \boxed{9} ;;
            | total | \boxed{9} | ;; so a total of \boxed{9} eggs ;; $$\boxed{9}$$ ;; \(\boxed{9}\) ;;
            _\boxed{9}_ ;; *\boxed{9}* ;; `\boxed{9}` ;; '\boxed{9}' ;; "\boxed{9}" ;; 答案是\boxed{9}。 ;;
            共\boxed{9}个 ;; The answer is:\boxed{9} ;; <p>\boxed{9}</p> ;; $S = \{1,2\}$ so \boxed{9} ;;
            f(3) = \boxed{9} ;; $f(3) = (2)(4)+1 = \boxed{9}$ ;; He needs $3+6=\boxed{9}$ boxes. ;;
            x = 3, so f(x) = \boxed{9}. ;; \boxed{9}\text{ apples} ;; For $x=2$, $\boxed{9}$ holds ;;
            the value, \boxed{9}, is ;; In 2020, he had \boxed{9}. ;; $\boxed{9}$ square meters ;;
            \boxed{9} seconds ;; maximum of \boxed{9} ;; So the final answer is: \boxed{9}. ;;
            The final answer is \(\boxed{9}\). ;; Therefore, Tom has \boxed{9} apples and 3 pears left. ;;
            **Final Answer:** $\boxed{9}$ ;; \[ x = 3^2 = \boxed{9} \] ;; $$x+1 = 10 \implies x = \boxed{9}$$ ;;
            Hence $n=\boxed{9}$ is the least. ;; That's $\$\boxed{9}$. ;; It costs \$$\boxed{9}$. ;;
            He pays $\boxed{\$9}$ in total. ;; It takes $\boxed{9}$ hours. ;;
            The area is $\boxed{9}$ square units. ;; $\boxed{9}$ ways to do so. ;;
            There are $3\cdot 3=\boxed{9}$ ways. ;; $a+b=3+6=\boxed{9}$. ;;
            The sum is $\boxed{9}$. We check: $3+6=9$. ;; the answer is $\boxed{9}$. $\blacksquare$ ;;
            The answer is \boxed{9}. I hope it is correct. ;; <answer>\boxed{9}</answer> ;;
            <think>no, wait</think> \boxed{9} ;; Let me not forget: the total is \boxed{9} ;;
            Since 3 is not even, the answer is \boxed{9}. ;; We know that it is less than 10, so \boxed{9}. ;;
            If it rains, then \boxed{9} people come. ;; which means that $x$ is $\boxed{9}$ ;;
            Thus, the answer is: $$\boxed{9}$$ ;; = \boxed{9} ;; => \boxed{9} ;; → \boxed{9} ;;
            Answer: **\boxed{9}** ;; (a) \boxed{9} ;; **Step 3:** \boxed{9} ;;
            The answer is $\boxed{9}$ (mod 11) ;; $x \equiv \boxed{9} \pmod{11}$""",
        "3.14": r"""
            $x \approx \boxed{3.14}$""",
        "3": r"""
            $x \equiv \boxed{3} \pmod{7}$""",
        "[0,1]": r"""
            $x \in \boxed{[0,1]}$""",
        "9 km": r"""
            \boxed{9} km.""",
        "300 cm": r"""
            \boxed{3} m""",
        "9%": r"""
            $\boxed{9}$ % ;; $\boxed{9}\%$ ;; We get a \boxed{9}% increase""",
        "x>9": r"""
            $\boxed{x>9}$ ;; $x > \boxed{9}$""",
        "x^2": r"""
            $x^{\boxed{2}}$""",
        "-9": r"""
            $-\boxed{9}$""",
        "9x": r"""
            $\boxed{9}x$""",
        "9 cm^2": r"""
            $\boxed{9}\text{ cm}^2$""",
        "1/3": r"""
            \boxed{\frac13} \approx 0.33""",
        "90": r"""
            \boxed{90^\circ} ;; $\angle ABC = \boxed{90}^\circ$""",
        "2,3": r"""
            \boxed{2}\text{ or }\boxed{3}""",
        "9 cm": r"""
            $\boxed{9}$ cm""",
        "9 lbs": r"""
            \boxed{9} pounds""",
        "1/9": r"""
            The probability is $\boxed{\frac{1}{9}}$, or about 11%.""",
        "(1,9)": r"""
            The point is $\boxed{(1,9)}$.""",
    },
    "options": {
        "B": r"""
            The answer is B. A is wrong because it ignores gravity. ;;
            The correct answer is (B). Option (A) is not correct. ;;
            The correct answer is **B) Paris**. London is not in France. ;; B) Paris, not London ;;
            The best answer is B, since C and D are not supported. ;; Answer: B. It is not A because 3 > 2. ;;
            Answer: (B) The cell is not able to divide ;;
            \boxed{\text{B}}. Options A and C are incorrect. ;; The answer is B. Not A, not C. ;;
            Answer: (B) $x<1$ or $x>3$ ;;
            The correct option is B because A is wrong. ;; The answer is B: no solution ;;
            \boxed{B} ;; Answer: B ;; \boxed{(B) \text{ no solution}} ;; The answer is B, not C. ;;
            \boxed{B. x<1 \text{ or } x>3} ;; (B) 12 ;; B. not enough information ;;
            The answer is (B) since it is larger. ;; **B** ;; \boxed{\textbf{(B)}\ 12} ;;
            The correct answer is B. ;; B) \angle C = 90""",
        "A": r"""
            \boxed{A} ;; The answer is $\boxed{\text{(A)}}$. ;; \boxed{\text{A) }9} ;; Answer: A) 9 ;; A ;; (A) ;;
            A. ;; The correct option is A. ;; The answer is (A). ;; Answer: A. The other options are too small. ;;
            Answer: (A) 3 apples ;; The answer is A because 3 < 4. ;; \boxed{A. \text{None of these}}""",
    },
    "without a box": {
        "8": r"""
            So she has 8 apples left. ;; That makes 3 + 5 = 8 eggs. ;; #### 8 ;; The total is 8. ;; He paid $8. ;;
            It is 8%. ;; So it takes him 8 minutes to do it. ;; She needs 3 + 5 = 8. ;; Total: 8 ;;
            the value is $8$ ;; So they have a total of 8. ;; After all, 24/3 = 8 of them left ;;
            So the sum of all of these adds up to 8. ;; which makes 8 of them ;;
            The difference is therefore equal to 8. ;; Hence, x = 8 ;; so the result is **8**. ;;
            So the answer to this is 2*4=8 (two times four). ;;
            Therefore Bob has exactly 8 coins in his pocket now. ;; 8 ;; 8. ;; x=8 ;; = 8 ;; $8$ ;; 8 apples ;;
            In total that is 8 dollars. ;; he sold 3 and then 5, for a total of 8 clips ;;
            She earns $3 + $5 = $8 a day.""",
        "9": r"""
            So x is 9. ;; It is worth 9 dollars. ;; He then has 9 left. ;; So, Betty needs $15 - $6 = $9 more. ;;
            Her total is $4 + $5 = $<<4+5=9>>9. ;; Thus 12-3=9 were left. ;; Total: 9 apples. ;; Answer 9 ;;
            The area is 9 square meters. ;; It will be 9 years old. ;;
            She read 9 books in 3 weeks, which is 3 a week. In total 9. ;; 12 minus 3 is 9. ;; 12 - 3 is 9 ;;
            3 times 3 is 9. ;; half of 18 is 9. ;; twice 4.5 equals 9 ;;
            The rest is not blue, leaving 9 of them. ;; She does not need any more, as she has 9. ;;
            Therefore they sold 9 tickets. ;; Altogether he ate 9 slices. ;; So the price is now 9 dollars. ;;
            Therefore, it took her 9 hours. ;; So there will be 9 cookies per child. ;; The answer is 9 apples. ;;
            The answer is 9, because 3*3. ;; The answer is: 9 ;; Answer: $9 ;; Final answer: 9. ;; 9 apples ;;
            $9 ;; 9 cm ;; x = 9 cm""",
        "9 km": r"""
            Answer: 9 km""",
    },
}
RIGHT_LINES = [
    ("8", r"x = 8 or x = -3. Since x > 0, \boxed{8}."),
    ("1/2", r"\boxed{\frac{1}{2}}, or 50%."),
    ("1/2", r"$P = \boxed{\dfrac12}$ or $0.5$."),
    ("1/2", r"$\boxed{\frac{1}{2}}$ or $\frac{2}{4}$."),
    ("8", "\\boxed{8}\n\nNote that 9 is wrong because it counts zero."),
    ("8", "The answer is \\boxed{8}. A common mistake is to answer 9."),
    ("B", "Answer: B\n\nExplanation: Option A is incorrect since it is too small, and C is not possible."),
    ("B", "\\boxed{B}\n\nA is wrong."),
    ("B", "Therefore, the correct option is B.\nOption C would be wrong."),
    ("3/8", "So the number of orders that are not on the left is:\n\\[\n\\frac{3}{8}\n\\]"),
    ("18", r"Therefore, the number of orders such that the scoop is not on the bottom is \(18\)."),
    ("18", r"Therefore, the number of orders such that the scoop is not on the bottom is \(\boxed{18}\)."),
    ("8", "**Final Answer**\n- 8"),
    ("9", "\\begin{align*}\nx &= 3\\\\\n&= \\boxed{9}.\n\\end{align*}"),
    ("9", "\\[\n\\begin{aligned}\n x &= 3 \\\\ &= \\boxed{9}\n\\end{aligned}\n\\]"),
    ("9", "\\boxed{9}\n\n- check: 3+6"),
    ("9", "\\boxed{9}\n"),
    ("9", "### Final Answer\n\\boxed{9}"),
    ("9", "\\boxed{9}\n\nThe reasoning: 3*3 gives 9."),
]


@pytest.mark.parametrize(("gold", "completion"), [*rows(RIGHT), *RIGHT_LINES])
def test_right_answers_of_the_same_look_stay_right(grader: Grader, gold: str, completion: str) -> None:
    verdict = grader.grade([completion], [gold])[0]
    assert verdict.correct is True, verdict
