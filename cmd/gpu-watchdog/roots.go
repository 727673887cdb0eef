package main

import (
	"crypto/x509"
	"fmt"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// trustBundled has a program without CA roots of its system, as in a minimal image, trust those that we carry. The bundle's
// package does so for every program that imports it; but it takes two thirds of a megabyte, and exec never uses them.
func trustBundled() error {
	pool := x509.NewCertPool()
	for root := range bundle.Roots() {
		cert, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			return fmt.Errorf("read the CA roots that come with this program: %w", err)
		}
		if root.Constraint == nil {
			pool.AddCert(cert)
		} else {
			pool.AddCertWithConstraint(cert, root.Constraint)
		}
	}
	x509.SetFallbackRoots(pool)
	return nil
}
