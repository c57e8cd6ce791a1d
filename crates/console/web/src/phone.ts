/** A number as it is written in Japan; a foreign one stays as the network gave it. */
export function phone(number: string): string {
  const domestic = number.startsWith("+81") ? `0${number.slice(3)}` : number;
  if (!/^0\d{9,10}$/.test(domestic)) return number;
  const cut = domestic.length === 11 ? [3, 7] : domestic.startsWith("0120") ? [4, 7] : [4, 6];
  return [domestic.slice(0, cut[0]), domestic.slice(cut[0], cut[1]), domestic.slice(cut[1])].join("-");
}
