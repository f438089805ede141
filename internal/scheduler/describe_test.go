package scheduler

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"
)

func TestDescribe(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]string{
		"* * * * * ?":                         "every second",
		"0 * * * * ?":                         "every minute",
		"0 0 * * * ?":                         "every hour",
		"0 15 * * * ?":                        "every hour at minute 15",
		"0 */15 * * * ?":                      "every 15 minutes",
		"0 0/5 14-18 * * ?":                   "every 5 minutes from 14:00 to 18:55",
		"0 * 14-16 * * ?":                     "every minute from 14:00 to 16:59",
		"0 0 9-16 ? * MON-FRI":                "every hour from 9:00 to 16:00, Monday to Friday",
		"0 0 9,10,11,12,13,14,15,16 ? * * *":  "every hour from 9:00 to 16:00",
		"0 30 22-2 * * ?":                     "every hour from 22:30 to 2:30",
		"0 0 */2 * * ?":                       "every 2 hours from 0:00 on",
		"0 0 0,12 * * ?":                      "at 0:00 and 12:00",
		"0 15 10 ? * 6L 2027-2029":            "at 10:15, on the last Friday of the month, from 2027 to 2029",
		"0 15 10 ? * 6#3":                     "at 10:15, on the third Friday of the month",
		"0 15 10 ? * 0#3":                     "at 10:15, on the third Saturday of the month",
		"0 15 10 ? * 8#3":                     "never, because the week has no day 8",
		"0 15 10 L * ?":                       "at 10:15, on the last day of the month",
		"0 15 10 L-1 * ?":                     "at 10:15, 1 day before the last day of the month",
		"0 15 10 LW * ?":                      "at 10:15, on the last weekday (Monday to Friday) of the month",
		"0 15 10 L-3W * ?":                    "at 10:15, on the weekday (Monday to Friday) nearest to 3 days before the last day of the month",
		"0 15 10 15W * ?":                     "at 10:15, on the weekday (Monday to Friday) nearest to day 15 of the month",
		"0 15 10 1,15 * ?":                    "at 10:15, on days 1 and 15 of the month",
		"0 15 10 ? NOV-FEB FRI-MON":           "at 10:15, Friday to Monday, from November to February",
		"0 15 10 ? MAR SAT,SUN":               "at 10:15, on Sunday and Saturday, in March",
		"30 15 10 * * ?":                      "at 10:15:30",
		"0-10 0-5 9 * * ?":                    "at seconds 0 to 10 of minutes 0 to 5 of hour 9",
		"0 10,44 14 ? 3 WED 2027/2":           "at 14:10 and 14:44, on Wednesday, in March, every 2 years from 2027 on",
		"0 0 9 1 1 ? 2027":                    "at 9:00, on day 1 of the month, in January, in 2027",
		"0 0 9 1 1 ? 2027,2029,2040":          "at 9:00, on day 1 of the month, in January, in 2027, 2029 and 2040",
		"0 0 9 1 1 ? 2027,2029,2031,2033":     "at 9:00, on day 1 of the month, in January, every 2 years from 2027 to 2033",
		"0 0 9 1 1 ? 2999":                    "never, because no year up to " + strconv.FormatInt(horizon(), 10) + " is allowed",
		"0 0 9 * * ? * and trailing text":     `at 9:00 (Quartz ignores "and trailing text" behind the year)`,
		"* 0 9 * * ?":                         "every second of minute 0 of hour 9",
		"0 1,2,3,4,5,6,8,10,12 9 * * ?":       "at second 0 of minutes 1, 2, 3, 4, 5, 6, 8, 10 and 12 of hour 9",
		"0 0 1,2,3,4,5,7,9,11,13,15,17 ? * *": "at second 0 of minute 0 of hours 1, 2, 3, 4, 5, 7, 9, 11, 13, 15 and 17",
	} {
		if got := Describe(mustParse(t, expr, time.UTC)); got != want {
			t.Errorf("%q: got %q, want %q", expr, got, want)
		}
	}
}

// Expressions with the same description fire at the same times.
func TestDescribeTellsExpressionsApart(t *testing.T) {
	t.Parallel()
	var exprs []string
	for _, v := range vectors(t) {
		if !v.Invalid {
			exprs = append(exprs, v.Expr)
		}
	}
	for i := range uint64(5000) {
		exprs = append(exprs, writer{rand.New(rand.NewPCG(13, i))}.schedule().text)
	}
	// Many alike, so that some coincide.
	w := writer{rand.New(rand.NewPCG(17, 1))}
	for range 5000 {
		var ignored [60]bool
		exprs = append(exprs, "0 0 "+w.numbers(0, 23, nil, ignored[:])+" ? * "+w.numbers(1, 7, dayNames, ignored[:]))
	}
	type told struct {
		expr  string
		fires []int64
	}
	seen := make(map[string]told)
	same := 0
	for _, expr := range exprs {
		e := mustParse(t, expr, time.UTC)
		words := Describe(e)
		fires := firstFirings(e)
		before, ok := seen[words]
		if !ok {
			seen[words] = told{expr, fires}
			continue
		}
		if before.expr != expr {
			same++
		}
		if !slices.Equal(before.fires, fires) {
			t.Errorf("%q and %q are both %q, and fire at %v and %v", before.expr, expr, words, before.fires, fires)
		}
	}
	if same < 100 {
		t.Errorf("only %d expressions share their words: the test shows nothing", same)
	}
}

// firstFirings samples when e fires over the years ahead.
func firstFirings(e *Expression) []int64 {
	var fires []int64
	at := time.Unix(1767225600, 0)
	for range 30 {
		for range 3 {
			next := e.Next(at)
			if next.IsZero() {
				return fires
			}
			fires = append(fires, next.Unix())
			at = next
		}
		at = at.Add(31*time.Hour + 17*time.Minute + 13*time.Second)
	}
	return fires
}
