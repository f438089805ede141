package scheduler

import (
	"testing"
	"time"

	"github.com/robfig/cron/v3"
)

// TestCronReadsFewExpressionsOfQuartz is why cron's parser has no part in what an expression means (decision 14): most
// of what Quartz takes it refuses, and of some it makes something else without a word.
func TestCronReadsFewExpressionsOfQuartz(t *testing.T) {
	t.Parallel()
	parser := cron.NewParser(cron.Second | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	valid, read := 0, 0
	for _, v := range vectors(t) {
		if v.Invalid {
			continue
		}
		valid++
		if _, err := parser.Parse(v.Expr); err == nil {
			read++
		}
	}
	if valid != 577 || read != 71 {
		t.Errorf("of %d expressions cron reads %d; decision 14 says 71 of 577", valid, read)
	}

	const monToFri = "0 0 9 ? * 2-6"
	sunday := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	other, err := parser.Parse(monToFri)
	if err != nil {
		t.Fatal(err)
	}
	if day := mustParse(t, monToFri, time.UTC).Next(sunday).Weekday(); day != time.Monday {
		t.Errorf("%q is on a %s first, want Monday, as Quartz has it", monToFri, day)
	}
	if day := other.Next(sunday).Weekday(); day != time.Tuesday {
		t.Errorf("for cron %q is on a %s first; decision 14 says Tuesday", monToFri, day)
	}
}
