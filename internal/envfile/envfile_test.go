package envfile

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestItMeansWhatSystemdMakesOfIt compares with what `systemd-run -p EnvironmentFile=odd.env env -0`
// printed, | for the zero bytes. deploy/package/test asks the systemd of the machine again.
func TestItMeansWhatSystemdMakesOfIt(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/odd.env")
	if err != nil {
		t.Fatal(err)
	}
	printed, err := os.ReadFile("testdata/odd.want")
	if err != nil {
		t.Fatal(err)
	}
	list, faults := Parse(string(text))
	if len(faults) > 0 {
		t.Error(faults)
	}
	got := make(map[string]string)
	for _, a := range list {
		got[a.Name] = a.Value
	}
	want := make(map[string]string)
	for _, line := range strings.Split(strings.TrimSuffix(string(printed), "|"), "|") {
		name, value, _ := strings.Cut(line, "=")
		want[name] = value
	}
	if diff := cmp.Diff(want, got); diff != "" || len(want) < 20 {
		t.Errorf("%d variables: %s", len(want), diff)
	}
}

func TestEveryFaultHasItsLine(t *testing.T) {
	t.Parallel()
	list, faults := Parse("# one\r\nA=1\r\n\r\nno sign\nexport B=2\n1C=3\n=d\n=e=f\nF=\x01\nG=\xff\nH='x\ny'\nI=\\\nx\nJ=\"open\n\nK=3\n")
	if diff := cmp.Diff([]Assignment{{"A", "1", 2}, {"H", "x\ny", 11}, {"I", "x", 13}}, list); diff != "" {
		t.Error(diff)
	}
	var got []string
	for _, f := range faults {
		got = append(got, f.Error())
	}
	const name = "the text before the = is not the name of a variable: only letters, digits and _, and no export"
	const value = "the value holds control characters, or is not UTF-8"
	if diff := cmp.Diff([]string{
		"line 4: there is no = in it", "line 5: " + name, "line 6: " + name, "line 7: " + name, "line 8: " + name,
		"line 9: " + value, "line 10: " + value, "line 15: a quote is not closed",
	}, got); diff != "" {
		t.Error(diff)
	}
}

func TestFaultsRepeatNothingOfTheFile(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"secret", "export secret=secret", "A=secret\x01", "A='secret", "A=\"secret\\"} {
		_, faults := Parse(text)
		if len(faults) != 1 || strings.Contains(faults[0].Error(), "secret") {
			t.Errorf("%q: %v", text, faults)
		}
	}
}

// quote writes a value so that every reader of the syntax returns it unchanged.
func quote(value string) string {
	return `"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`, "`", "\\`", "$", `\$`).Replace(value) + `"`
}

// FuzzParse checks that whatever is read can be written and read again, and that every line with
// an = is either an assignment or a fault.
func FuzzParse(f *testing.F) {
	odd, err := os.ReadFile("testdata/odd.env")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(odd), "A=1\n", "A='", "A=\"\\", "A=\\", "#\\\nA=b", "=", "A\r=\rB=c", "A=\"x\"'y'z\"w\"\n",
		";\x00\nA=\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, faults := Parse(text)
		if len(list)+len(faults) == 0 && strings.Contains(text, "=") && !strings.ContainsAny(text, "#;") {
			t.Errorf("%q: nothing was found in it", text)
		}
		line := 0
		var again strings.Builder
		for _, a := range list {
			if a.Line < line || a.Line > strings.Count(text, "\n")+1 || !isName(a.Name) || !isValue(a.Value) {
				t.Errorf("%q: %+v", text, a)
			}
			line = a.Line
			again.WriteString(a.Name + "=" + quote(a.Value) + "\n")
		}
		second, faults := Parse(again.String())
		if len(faults) > 0 || len(second) != len(list) {
			t.Fatalf("%q was written as %q and read as %v, %v", text, again.String(), second, faults)
		}
		for i, a := range list {
			if second[i].Name != a.Name || second[i].Value != a.Value {
				t.Errorf("%+v was written and read as %+v", a, second[i])
			}
		}
	})
}
