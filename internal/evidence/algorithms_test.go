package evidence

import (
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"

	jose "github.com/go-jose/go-jose/v4"
)

// TestSignaturesOfOtherForms are refused, though the key made them: with another algorithm, another use, or more in the header.
func TestSignaturesOfOtherForms(t *testing.T) {
	t.Parallel()
	m, media := sample(t)
	text, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	rsaDevice := certificate(t, rsaKey(), nil, nil)
	ecDevice := certificate(t, curve(t, elliptic.P256()), nil, nil)
	print := func(rsa bool) string {
		if rsa {
			return thumbprint(rsaDevice.Certificate[0])
		}
		return thumbprint(ecDevice.Certificate[0])
	}
	certificateText := func(rsa bool) []byte {
		device := ecDevice
		if rsa {
			device = rsaDevice
		}
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: device.Certificate[0]})
	}
	const use = signatureType
	type members = map[jose.HeaderKey]any
	for name, c := range map[string]struct {
		algorithm jose.SignatureAlgorithm
		key       any
		rsa       bool
		typ       jose.ContentType
		more      members
		want      string
	}{
		"PS256":            {jose.PS256, rsaDevice.PrivateKey, true, use, nil, ""},
		"RS256":            {jose.RS256, rsaDevice.PrivateKey, true, use, nil, ""},
		"ES256":            {jose.ES256, ecDevice.PrivateKey, false, use, nil, ""},
		"PS384":            {jose.PS384, rsaDevice.PrivateKey, true, use, nil, "not one of the key's"},
		"RS512":            {jose.RS512, rsaDevice.PrivateKey, true, use, nil, "not one of the key's"},
		"HMAC of the PEM":  {jose.HS256, certificateText(true), true, use, nil, "not one of the key's"},
		"HMAC, of a curve": {jose.HS256, certificateText(false), false, use, nil, "not one of the key's"},
		"another use":      {jose.ES256, ecDevice.PrivateKey, false, "JWT", nil, "made for another use"},
		"no use":           {jose.ES256, ecDevice.PrivateKey, false, "", nil, "has other members"},
		"crit":             {jose.ES256, ecDevice.PrivateKey, false, use, members{"crit": []string{"exp"}, "exp": 1}, "has other members"},
		"b64":              {jose.ES256, ecDevice.PrivateKey, false, use, members{"b64": true}, "has other members"},
		"jku":              {jose.ES256, ecDevice.PrivateKey, false, use, members{"jku": "https://example.com"}, "has other members"},
		"x5u":              {jose.ES256, ecDevice.PrivateKey, false, use, members{"x5u": "https://example.com"}, "has other members"},
		"x5c":              {jose.ES256, ecDevice.PrivateKey, false, use, members{"x5c": []string{"AA=="}}, "has other members"},
		"kid":              {jose.ES256, ecDevice.PrivateKey, false, use, members{"kid": "1"}, "has other members"},
		"no certificate":   {jose.ES256, ecDevice.PrivateKey, false, use, members{"x5t#S256": ""}, "names another certificate"},
	} {
		options := (&jose.SignerOptions{}).WithHeader("x5t#S256", print(c.rsa)).WithHeader("certificates", thumbprint(certificateText(c.rsa)))
		if c.typ != "" {
			options = options.WithType(c.typ)
		}
		for key, value := range c.more {
			options = options.WithHeader(key, value)
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: c.algorithm, Key: c.key}, options)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		jws, err := signer.Sign(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if low := lowest(jws.Signatures[0].Signature, ecDevice.Leaf.PublicKey); !c.rsa && low != nil {
			jws.Signatures[0].Signature = low
		}
		compact, err := jws.DetachedCompactSerialize()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, err = verify(packed(t, Signed{text, []byte(compact), certificateText(c.rsa)}, media), Trust{})
		if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSignaturesWrittenInAnotherWay are refused: base64url has one text for some bytes, and a header one order.
func TestSignaturesWrittenInAnotherWay(t *testing.T) {
	t.Parallel()
	m, media := sample(t)
	text, _ := m.Encode()
	device := certificate(t, curve(t, elliptic.P256()), nil, nil)
	signed, err := Sign(text, device)
	if err != nil {
		t.Fatal(err)
	}
	head, tail, _ := strings.Cut(string(signed.Signature), "..")
	encoded := base64.RawURLEncoding.EncodeToString
	print, all := thumbprint(device.Certificate[0]), `"certificates":"`+thumbprint(signed.Certificate)+`",`
	const last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	next := last[strings.IndexByte(last, tail[len(tail)-1])^1]
	for name, c := range map[string]struct{ text, want string }{
		"trailing bits":    {head + ".." + tail[:len(tail)-1] + string(next), "not strict base64url"},
		"padding":          {head + ".." + tail + "==", "not strict base64url"},
		"a line break":     {head + ".." + tail + "\n", "not strict base64url"},
		"standard base64":  {head + ".." + strings.Repeat("+", len(tail)), "not strict base64url"},
		"with its payload": {head + "." + encoded(text) + "." + tail, "not a JWS without its payload"},
		"no signature":     {head + "..", "not one of the manifest"},
		"none": {encoded([]byte(`{"alg":"none",`+all+`"typ":"`+signatureType+`","x5t#S256":"`+print+`"}`)) + "..",
			"not one of the key's"},
		"another order": {
			encoded([]byte(`{"typ":"`+signatureType+`",`+all+`"alg":"ES256","x5t#S256":"`+print+`"}`)) + ".." + tail,
			"has other members",
		},
		"alg twice": {
			encoded([]byte(`{"alg":"none","alg":"ES256",`+all+`"typ":"`+signatureType+`","x5t#S256":"`+print+`"}`)) + ".." + tail,
			"has other members",
		},
		"spaces": {
			encoded([]byte(`{ "alg":"ES256",`+all+`"typ":"`+signatureType+`","x5t#S256":"`+print+`"}`)) + ".." + tail,
			"has other members",
		},
	} {
		_, err := verify(packed(t, Signed{text, []byte(c.text), signed.Certificate}, media), Trust{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTheOtherFormOfASignatureIsRefused: from the signature (r, s) of a curve everybody can make (r, n-s), which is as valid.
func TestTheOtherFormOfASignatureIsRefused(t *testing.T) {
	t.Parallel()
	m, media := sample(t)
	text, _ := m.Encode()
	for _, c := range []elliptic.Curve{elliptic.P256(), elliptic.P384()} {
		device := certificate(t, curve(t, c), nil, nil)
		for range 8 { // half of what a key makes has the other form
			signed, err := Sign(text, device)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := verify(packed(t, signed, media), Trust{Certificate: device.Leaf}); err != nil {
				t.Fatal(err)
			}
			head, tail, _ := strings.Cut(string(signed.Signature), "..")
			data, _ := base64.RawURLEncoding.DecodeString(tail)
			s := data[len(data)/2:]
			new(big.Int).Sub(c.Params().N, new(big.Int).SetBytes(s)).FillBytes(s)
			signed.Signature = []byte(head + ".." + base64.RawURLEncoding.EncodeToString(data))
			if _, err := verify(packed(t, signed, media), Trust{}); err == nil || !strings.Contains(err.Error(), "not in the form") {
				t.Errorf("%s: %v", c.Params().Name, err)
			}
		}
	}
}

// TestOtherIssuersAreRefused: the certificates behind that of the key are signed as well.
func TestOtherIssuersAreRefused(t *testing.T) {
	t.Parallel()
	issuer := certificate(t, curve(t, elliptic.P256()), nil, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true })
	device := certificate(t, curve(t, elliptic.P256()), issuer, nil)
	alone := *device
	device.Certificate = append(device.Certificate, issuer.Certificate[0])
	stranger := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate(t, rsaKey(), nil, nil).Certificate[0]})
	m, media := sample(t)
	text, _ := m.Encode()
	one, err := Sign(text, &alone)
	if err != nil {
		t.Fatal(err)
	}
	two, err := Sign(text, device)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verify(packed(t, two, media), Trust{Certificate: device.Leaf}); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]Signed{
		"one less": {text, two.Signature, one.Certificate}, "one more": {text, one.Signature, two.Certificate},
		"a stranger": {text, two.Signature, slices.Concat(two.Certificate, stranger)},
		"twice":      {text, two.Signature, slices.Concat(one.Certificate, one.Certificate)},
	} {
		if _, err := verify(packed(t, s, media), Trust{}); err == nil || !strings.Contains(err.Error(), "not those that were signed") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
