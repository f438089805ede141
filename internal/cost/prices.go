package cost

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// Prices are those of one region. The file that ReadPrices reads has these members.
type Prices struct {
	Region   string `json:"region"`
	Date     string `json:"date"` // since when they are known: 2026-11 or 2026-11-28
	Source   string `json:"source"`
	Currency string `json:"currency"` // three letters; USD if it is missing
	// BytesPerGB is BinaryGB, also if it is missing, or DecimalGB.
	BytesPerGB int64 `json:"bytesPerGB"`
	// PerThousandCalls is for PutMedia calls, for which AWS charges nothing.
	PerThousandCalls float64    `json:"perThousandCalls"`
	Hot              TierPrices `json:"HOT"`
	Warm             TierPrices `json:"WARM"`
}

// TierPrices are those of a storage tier. A member that is missing is 0, except StoragePerGBMonth, which is required.
type TierPrices struct {
	IngestPerGB                float64 `json:"ingestPerGB,omitempty"`
	IngestPerThousandFragments float64 `json:"ingestPerThousandFragments,omitempty"`
	StoragePerGBMonth          float64 `json:"storagePerGBMonth"`
	// MinimumStorageDays are paid for whatever is stored, even if it is deleted earlier.
	MinimumStorageDays float64 `json:"minimumStorageDays,omitempty"`
}

// GB is a size as it is charged.
func (p Prices) GB(bytes int64) float64 {
	return float64(bytes) / float64(cmp.Or(p.BytesPerGB, BinaryGB))
}

// Ingest is what the service charges for taking in fragments of that many bytes together, in a storage tier; "" is HOT.
func (p Prices) Ingest(tier string, fragments, bytes int64) float64 {
	of := p.Hot
	if tier == Warm {
		of = p.Warm
	}
	return p.GB(bytes)*of.IngestPerGB + float64(fragments)/1000*of.IngestPerThousandFragments
}

//go:embed prices.json
var embedded []byte

// Embedded returns the prices that come with the program.
func Embedded() Prices {
	p, err := ReadPrices(bytes.NewReader(embedded))
	if err != nil {
		panic(err) // a test reads them
	}
	return p
}

const (
	// maxPricesFile bounds a file of prices in bytes.
	maxPricesFile = 64 << 10
	// maxPrice bounds a price: beyond it a decimal point was forgotten.
	maxPrice = 1e6
	// maxMinimumDays bounds MinimumStorageDays: the longest retention. Source: KVS API, UpdateDataRetention.
	maxMinimumDays = 3650
	maxText        = 300
	// maxShown bounds what an error shows of a text in the file.
	maxShown = 60
)

// raw is a file of prices as it is read: each number may be missing.
type raw struct {
	Region           *string  `json:"region"`
	Date             *string  `json:"date"`
	Source           *string  `json:"source"`
	Currency         *string  `json:"currency"`
	BytesPerGB       *float64 `json:"bytesPerGB"`
	PerThousandCalls *float64 `json:"perThousandCalls"`
	Hot              *rawTier `json:"HOT"`
	Warm             *rawTier `json:"WARM"`
}

type rawTier struct {
	IngestPerGB                *float64 `json:"ingestPerGB"`
	IngestPerThousandFragments *float64 `json:"ingestPerThousandFragments"`
	StoragePerGBMonth          *float64 `json:"storagePerGBMonth"`
	MinimumStorageDays         *float64 `json:"minimumStorageDays"`
}

// ReadPrices reads a file of prices. An error is one sentence for people, without the name of the file.
func ReadPrices(r io.Reader) (p Prices, err error) {
	data, err := io.ReadAll(io.LimitReader(r, maxPricesFile+1))
	switch {
	case err != nil:
		return p, err
	case len(data) > maxPricesFile:
		return p, fmt.Errorf("it is larger than %d kB", maxPricesFile>>10)
	case !utf8.Valid(data):
		return p, errors.New("it is not UTF-8")
	}
	var file raw
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&file); err != nil {
		return p, notPrices(err, data)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return p, errors.New("something follows the object of prices")
	}
	return file.prices()
}

// notPrices says what is wrong with a file that could not be decoded.
func notPrices(err error, data []byte) error {
	var (
		syntax *json.SyntaxError
		kind   *json.UnmarshalTypeError
	)
	const unknown = "json: unknown field "
	switch {
	case errors.As(err, &kind) && kind.Field == "":
		return errors.New("it is not a JSON object of prices")
	case errors.As(err, &kind):
		wanted, known := map[string]string{"float64": "a number", "string": "a text"}[kind.Type.String()]
		if !known {
			wanted = "an object"
		}
		return fmt.Errorf("%s must be %s", health.Clean(kind.Field, maxShown), wanted)
	case strings.HasPrefix(err.Error(), unknown):
		return fmt.Errorf("it has a member %s, which no file of prices has", health.Clean(strings.TrimPrefix(err.Error(), unknown), maxShown))
	case errors.As(err, &syntax):
		at := min(max(int(syntax.Offset)-1, 0), len(data))
		return fmt.Errorf("it is not JSON, from line %d on", 1+bytes.Count(data[:at], []byte{'\n'}))
	default:
		return errors.New("it is not JSON: its end is missing")
	}
}

func (f raw) prices() (p Prices, err error) {
	for _, t := range []struct {
		name  string
		value *string
		into  *string
	}{{"region", f.Region, &p.Region}, {"date", f.Date, &p.Date}, {"source", f.Source, &p.Source}} {
		if t.value == nil || strings.TrimSpace(*t.value) == "" {
			return Prices{}, fmt.Errorf("%s is missing", t.name)
		}
		if len(*t.value) > maxText || strings.ContainsFunc(*t.value, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return Prices{}, fmt.Errorf("%s must be one line of at most %d bytes", t.name, maxText)
		}
		*t.into = *t.value
	}
	if !isDate(p.Date) {
		return Prices{}, fmt.Errorf("date is %q; it must be a month or a day, such as 2026-11 or 2026-11-28", health.Clean(p.Date, maxShown))
	}
	p.Currency = "USD"
	if f.Currency != nil {
		p.Currency = *f.Currency
	}
	if len(p.Currency) != 3 || strings.ContainsFunc(p.Currency, func(r rune) bool { return r < 'A' || r > 'Z' }) {
		return Prices{}, fmt.Errorf("currency is %q; it must be three capital letters, such as USD", health.Clean(p.Currency, maxShown))
	}
	p.BytesPerGB = BinaryGB
	if f.BytesPerGB != nil {
		if *f.BytesPerGB != BinaryGB && *f.BytesPerGB != DecimalGB {
			return Prices{}, fmt.Errorf("bytesPerGB is %g; it must be %d or %d", *f.BytesPerGB, BinaryGB, DecimalGB)
		}
		p.BytesPerGB = int64(*f.BytesPerGB)
	}
	if err := number("perThousandCalls", f.PerThousandCalls, maxPrice, &p.PerThousandCalls); err != nil {
		return Prices{}, err
	}
	if p.Hot, err = f.Hot.prices("HOT"); err != nil {
		return Prices{}, err
	}
	if p.Warm, err = f.Warm.prices("WARM"); err != nil {
		return Prices{}, err
	}
	return p, nil
}

func (t *rawTier) prices(name string) (p TierPrices, err error) {
	if t == nil {
		return p, fmt.Errorf("%s is missing, the prices of that storage tier", name)
	}
	if t.StoragePerGBMonth == nil {
		return p, fmt.Errorf("%s.storagePerGBMonth is missing", name)
	}
	for _, n := range []struct {
		name  string
		value *float64
		most  float64
		into  *float64
	}{
		{"ingestPerGB", t.IngestPerGB, maxPrice, &p.IngestPerGB},
		{"ingestPerThousandFragments", t.IngestPerThousandFragments, maxPrice, &p.IngestPerThousandFragments},
		{"storagePerGBMonth", t.StoragePerGBMonth, maxPrice, &p.StoragePerGBMonth},
		{"minimumStorageDays", t.MinimumStorageDays, maxMinimumDays, &p.MinimumStorageDays},
	} {
		if err := number(name+"."+n.name, n.value, n.most, n.into); err != nil {
			return TierPrices{}, err
		}
	}
	return p, nil
}

// isDate reports whether a text is a month or a day.
func isDate(text string) bool {
	return slices.ContainsFunc([]string{"2006-01", time.DateOnly}, func(form string) bool {
		_, err := time.Parse(form, text)
		return err == nil
	})
}

// number takes a number that may be missing.
func number(name string, value *float64, most float64, into *float64) error {
	if value == nil {
		return nil
	}
	if *value < 0 || *value > most || math.IsNaN(*value) {
		return fmt.Errorf("%s is %g; it must be a number from 0 to %.0f", name, *value, most)
	}
	*into = *value
	return nil
}
