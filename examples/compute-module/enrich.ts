// Maps over a table of e-mail addresses: `faas pipeline local --enricher function --function enrich …`.
// The input is {"email": …}; the output has any of linkedin_url, company, title, description, confidence.
interface Enrichment {
  company: string;
  title: string;
  description: string;
  confidence: string;
}

const capitalized = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);

export function handle({ email }: { email: string }): Enrichment {
  const [person, domain] = email.split("@");
  if (!person || domain === undefined) throw new Error("not an address");
  const company = capitalized(domain.split(".")[0]);
  return {
    company,
    title: "Employee",
    description: `${capitalized(person.split(".")[0])} of ${company}`,
    confidence: "medium",
  };
}
